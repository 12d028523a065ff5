"""Growing a trained run: old outputs to the bit, the gate both ways, smaller bundles that answer as the whole did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import exit_code
from torch import Tensor
from toys import BrightDataset, BrightOptions

from umbel.checkpoint.read import find_checkpoint
from umbel.predict.api import TrainedModel, load
from umbel.workflows.growth.gate import judge

Cli = Callable[..., tuple[int, str, str]]

THIRD = """
tasks:
  third: {kind: bright, batch_size: 5, input_size: [24, 24], options: {count: 9, threshold: 90}}
train: {steps: 50}
"""


@pytest.fixture
def cli(
    distribute: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Cli:
    """Runs the command line in tmp_path, with the toys installed and a recipe for a third task in third.yaml."""
    distribute("toy-tasks")
    monkeypatch.chdir(tmp_path)
    Path("third.yaml").write_text(THIRD)

    def run(*arguments: str) -> tuple[int, str, str]:
        return (exit_code(*arguments), *capfd.readouterr())

    return run


@pytest.fixture
def trained(cli: Cli, recipe_file: Path) -> Path:
    code, _, err = cli("train", str(recipe_file), "--out", "run", "train.ema_decay=0.5")
    assert code == 0, err
    return Path("run")


def outputs(trained: TrainedModel, name: str) -> Tensor:
    """Raw outputs of a task on a few images, as `evaluate` computes them."""
    data = BrightDataset("look", BrightOptions(5), (32, 64))
    images = torch.from_numpy(np.stack([data[index].image for index in range(5)])).permute(0, 3, 1, 2).contiguous()
    with trained.runtime.eval_mode():
        out: Tensor = trained.runtime.forward(images, name)
    return out


def state(run: str | Path) -> dict[str, Tensor]:
    return dict(load(run).runtime.model.state_dict())


@pytest.mark.parametrize("mode", ["frozen", "adapter"])
def test_held_tasks_answer_to_the_bit_after_fifty_steps(cli: Cli, trained: Path, mode: str) -> None:
    if mode == "adapter":
        pytest.importorskip("peft")
    before = load(trained)
    code, out, err = cli("add-task", "run", "third.yaml", "--mode", mode, "--out", "grown")
    assert code == 0, err
    grown = load("grown")
    assert find_checkpoint(Path("grown/checkpoints")).step == 50
    for name in ("first", "second"):
        assert torch.equal(outputs(before, name), outputs(grown, name))
    old = before.runtime.model.state_dict()
    new = grown.runtime.model.state_dict()
    for key, value in old.items():
        if mode == "frozen" or key.startswith("heads."):
            assert torch.equal(value, new[key]), key
    if mode == "adapter":
        moved = [key for key in new if "lora_B" in key]
        assert moved
        assert any(bool(new[key].abs().sum() > 0) for key in moved)
        inner = grown.runtime.model.backbone
        with_adapter = outputs(grown, "third")
        inner.off = inner.off | {"third"}  # type: ignore[operator, assignment]
        assert not torch.equal(outputs(grown, "third"), with_adapter)
    verdicts = json.loads(Path("grown/gate.json").read_text())
    assert [(v["task"], v["before"] == v["after"], v["passed"]) for v in verdicts] == [
        ("first", True, True),
        ("second", True, True),
    ]
    assert [line.split()[-1] for line in out.splitlines()[-2:]] == ["ok", "ok"]
    assert "third/closeness" in out
    trained_losses = [json.loads(line) for line in Path("grown/metrics.jsonl").read_text().splitlines()]
    assert {name for line in trained_losses for name in line.get("losses", {})} == {"third"}


def test_grown_run_is_checked_and_reported_and_does_not_start_without_its_weights(cli: Cli, trained: Path) -> None:
    code, _, err = cli("add-task", "run", "third.yaml", "--out", "grown", "train.steps=2", "score=(first + third) / 2")
    assert code == 0, err
    assert "third" in Path("grown/report.html").read_text(encoding="utf-8")
    code, out, err = cli("check", "grown/recipe.yaml")
    assert code == 0, err
    assert "third" in out
    code, _, err = cli("train", "grown/recipe.yaml", "--out", "fresh")
    assert code == 2
    assert "growth.mode: frozen" in err
    assert not Path("fresh").exists()


def test_parts_of_a_run_with_adapters(cli: Cli, trained: Path) -> None:
    pytest.importorskip("peft")
    code, _, err = cli("add-task", "run", "third.yaml", "--mode", "adapter", "--out", "grown", "train.steps=5")
    assert code == 0, err
    whole = load("grown")
    for names in (["third"], ["second", "third"], ["first"]):
        code, _, err = cli("extract", "grown", "--tasks", ",".join(names), "--out", "-".join(names))
        assert code == 0, err
        small = load("-".join(names))
        assert all(torch.equal(outputs(whole, name), outputs(small, name)) for name in names)
    Path("fourth.yaml").write_text(THIRD.replace("third", "fourth"))
    code, _, err = cli("add-task", "grown", "fourth.yaml", "--out", "x")
    assert code == 2
    assert "carries adapters already" in err


def test_names_of_tasks_are_no_names_of_parts(cli: Cli, tmp_path: Path) -> None:
    entry = "{kind: bright, batch_size: 4, input_size: [16, 16]}"
    tasks = "".join(f"  {name}: {entry}\n" for name in ("mean", "bias", "a_bias"))
    Path("odd.yaml").write_text(f"backbone: {{name: tiny}}\ntasks:\n{tasks}train: {{steps: 1, precision: fp32}}\n")
    assert cli("train", "odd.yaml", "--out", "odd")[0] == 0
    code, _, err = cli("drop-task", "odd", "mean", "bias", "--out", "left")
    assert code == 0, err
    assert torch.equal(outputs(load("odd"), "a_bias"), outputs(load("left"), "a_bias"))


@pytest.mark.parametrize(
    ("model", "mode"), [("test_efficientnet", "frozen"), ("test_efficientnet", "adapter"), ("test_convnext", "adapter")]
)
def test_backbones_of_timm_grow(cli: Cli, recipe_file: Path, model: str, mode: str) -> None:
    """Batch statistics of each task, and layers of all sorts that carry adapters."""
    if mode == "adapter":
        pytest.importorskip("peft")
    sizes = ("tasks.first.input_size=[32,64]", "tasks.second.input_size=[32,32]")
    timm = f"name: timm, options: {{model: {model}}}"
    Path("timm.yaml").write_text(recipe_file.read_text().replace("name: tiny", timm))
    assert cli("train", "timm.yaml", "--out", "run", "train.steps=3", *sizes)[0] == 0
    third = ("tasks.third.input_size=[32,32]", "train.steps=3")
    code, _, err = cli("add-task", "run", "third.yaml", "--mode", mode, "--out", "grown", *third)
    assert code == 0, err
    before, grown = load("run"), load("grown")
    for name in ("first", "second"):
        assert torch.equal(outputs(before, name), outputs(grown, name))
    # another recipe's backbone starts from the run's
    start = ("backbone.options.weights=run", "tasks.second=null", "optim.lr=0", "train.steps=1")
    code, _, err = cli("train", "timm.yaml", "--out", "started", *sizes, *start)
    assert code == 0, err
    own, started = state("run"), state("started")
    kept = [key for key in started if key.startswith("backbone.trunk.") and "weight" in key and "running" not in key]
    assert len(kept) > 5
    assert all(torch.equal(started[key], own[key]) for key in kept if key in own)


def test_new_head_has_learnt(cli: Cli, trained: Path) -> None:
    assert cli("add-task", "run", "third.yaml", "--out", "grown", "train.log_every=1", "optim.lr=0.02")[0] == 0
    lines = [json.loads(line) for line in Path("grown/metrics.jsonl").read_text().splitlines()]
    losses = [line["losses"]["third"]["total"] for line in lines if "losses" in line]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])


def test_joint_trains_all_and_the_gate_goes_both_ways(cli: Cli, trained: Path) -> None:
    code, out, _ = cli("add-task", "run", "third.yaml", "--mode", "joint", "--out", "gentle", "optim.lr=1e-6")
    assert code == 0
    assert out.count(" ok") == 2
    code, out, err = cli(
        "add-task", "run", "third.yaml", "--mode", "joint", "--out", "harsh", "optim.lr=1", "optim.warmup_steps=0",
        "optim.clip_norm=null", "growth.max_drop=0.001", "train.steps=8",
    )  # fmt: skip
    assert code == 1, (out, err)
    assert "DROPPED" in out
    assert Path("harsh/scores.json").is_file()  # the run is whole, only judged
    harsh = ("optim.lr=1", "optim.warmup_steps=0", "optim.clip_norm=null", "train.steps=8")
    lenient = cli("add-task", "run", "third.yaml", "--mode", "joint", "--out", "lenient", *harsh, "growth.max_drop=100")
    assert lenient[0] == 0
    lines = [json.loads(line) for line in Path("gentle/metrics.jsonl").read_text().splitlines()]
    assert {name for line in lines for name in line.get("losses", {})} == {"first", "second", "third"}


def test_grown_run_resumes_and_grows_again(cli: Cli, trained: Path) -> None:
    settings = ("train.steps=6", "train.save_every=3")
    assert cli("add-task", "run", "third.yaml", "--out", "grown", *settings)[0] == 0
    whole = state("grown")
    for path in Path("grown/checkpoints").glob("step-00000006/*"):
        path.unlink()
    judged = Path("grown/gate.json").read_bytes()
    Path("grown/gate.json").unlink()
    again = ("add-task", "run", "third.yaml", "--out", "grown", *settings)
    assert cli(*again)[0] == 2
    code, out, err = cli(*again, "--resume")
    assert code == 0, err
    assert out.count(" ok") == 2
    assert Path("grown/gate.json").read_bytes() == judged
    resumed = state("grown")
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
    assert cli("train", "grown/recipe.yaml", "--out", "grown", "--resume")[0] == 0  # the run itself is an ordinary one
    Path("fourth.yaml").write_text(THIRD.replace("third", "fourth"))
    assert cli("add-task", "grown", "fourth.yaml", "--out", "again", "train.steps=4")[0] == 0
    assert list(load("again").tasks) == ["first", "second", "third", "fourth"]
    for name in ("first", "third"):
        assert torch.equal(outputs(load("grown"), name), outputs(load("again"), name))


def test_recipe_that_repeats_the_old_tasks_adds_only_the_new(cli: Cli, trained: Path, recipe_file: Path) -> None:
    Path("all.yaml").write_text(f"defaults: {recipe_file.name}\n{THIRD.strip()}\n".replace("steps: 50", "steps: 2"))
    assert cli("add-task", "run", "all.yaml", "--out", "grown")[0] == 0
    assert list(load("grown").tasks) == ["first", "second", "third"]


@pytest.mark.parametrize("command", ["extract", "drop-task"])
def test_smaller_bundle_answers_as_the_whole_did(cli: Cli, trained: Path, command: str) -> None:
    arguments = ("--tasks", "second") if command == "extract" else ("first",)
    code, out, err = cli(command, "run", *arguments, "--out", "small")
    assert code == 0, err
    assert out.startswith("small: second; ")
    whole, small = load("run"), load("small")
    assert list(small.tasks) == ["second"]
    assert torch.equal(outputs(whole, "second"), outputs(small, "second"))
    assert not any(key.startswith("heads.first") for key in state("small"))
    old, new = whole.evaluate(), small.evaluate()
    assert old["second/closeness"] == new["second/closeness"]
    assert cli("evaluate", "small")[0] == 0
    assert find_checkpoint(Path("small/checkpoints")).step == find_checkpoint(Path("run/checkpoints")).step


def test_dropped_task_can_be_added_again(cli: Cli, trained: Path, recipe_file: Path) -> None:
    assert cli("drop-task", "run", "second")[0] == 0
    assert list(load("run-without-second").tasks) == ["first"]
    assert cli("add-task", "run-without-second", str(recipe_file), "--out", "back", "train.steps=3")[0] == 0
    assert list(load("back").tasks) == ["first", "second"]
    assert torch.equal(outputs(load("run"), "first"), outputs(load("back"), "first"))


def test_balancer_of_the_run_does_not_stand_in_the_way(cli: Cli, recipe_file: Path) -> None:
    assert cli("train", str(recipe_file), "--out", "run", "train.balancer.name=uncertainty", "train.steps=3")[0] == 0
    assert cli("add-task", "run", "third.yaml", "--mode", "joint", "--out", "grown", "train.steps=2")[0] == 0
    assert cli("extract", "run", "--tasks", "first,second", "--out", "plain")[0] == 0
    assert torch.equal(outputs(load("run"), "first"), outputs(load("plain"), "first"))


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["add-task", "run", "toy.yaml", "--out", "x"], 2, "adds no task (the run has first, second already)"),
        (["add-task", "run", "gone.yaml", "--out", "x"], 2, "no recipe 'gone.yaml'"),
        (["add-task", "nowhere", "third.yaml", "--out", "x"], 2, "nowhere"),
        (["add-task", ".", "third.yaml", "--out", "x"], 3, "is not a run"),
        (["add-task", "run", "third.yaml", "--out", "run"], 2, "already holds a run"),
        (["add-task", "run", "wide.yaml", "--out", "x"], 2, "backbone.options.width: differs from the backbone"),
        (["add-task", "run", "third.yaml", "--mode", "half", "--out", "x"], 2, "'half' is not one of"),
        (["add-task", "run", "third.yaml", "--out", "x", "growth.max_drop=-1"], 2, "max_drop is -1"),
        (["add-task", "run", "third.yaml", "--out", "x", "tasks.third.kind=brigth"], 2, "did you mean 'bright'"),
        (["drop-task", "run", "third"], 2, "no task 'third' (the run has first, second)"),
        (["drop-task", "run", "first", "second", "--out", "x"], 2, "no task would be left"),
        (["drop-task", "run"], 2, "Missing argument"),
        (["extract", "run", "--tasks", "first,third", "--out", "x"], 2, "no task 'third'"),
        (["extract", "run", "--tasks", ",", "--out", "x"], 2, "no task would be left"),
        (["extract", "run", "--tasks", "first"], 2, "--out"),
        (["extract", "run", "--tasks", "first", "--out", "run"], 2, "already holds a run"),
        (["extract", "run", "--tasks", "first", "--out", "x", "--checkpoint", "best-third"], 3, "best-third"),
    ],
)  # fmt: skip
def test_refusals_say_what_is_wrong_and_write_nothing(
    cli: Cli, run_once: None, arguments: list[str], code: int, part: str
) -> None:
    given, out, err = cli(*arguments)
    assert given == code, err
    assert out == ""
    assert part in err
    assert "Traceback" not in err
    assert not Path("x").exists()


@pytest.fixture
def run_once(cli: Cli, recipe_file: Path) -> None:
    Path("wide.yaml").write_text(THIRD + "backbone: {name: tiny, options: {width: 16}}\n")
    assert cli("train", str(recipe_file), "--out", "run", "train.steps=1")[0] == 0


def test_verdicts() -> None:
    mains = {"a": "x", "b": "x", "c": "x", "d": "x"}
    nan = float("nan")
    before = {"a/x": 0.5, "b/x": 0.5, "c/x": 0.5, "d/x": nan}
    after = {"a/x": 0.4, "b/x": 0.39, "c/x": nan, "d/x": nan}
    assert [verdict.passed for verdict in judge(mains, before, after, 0.1 + 1e-9)] == [True, False, False, True]
    assert [verdict.passed for verdict in judge({"a": "x"}, {"a/x": 0.5}, {"a/x": 0.9}, 0.0)] == [True]


def test_held_parts_stay_in_evaluation_mode(cli: Cli, trained: Path) -> None:
    assert cli("add-task", "run", "third.yaml", "--out", "grown", "train.steps=1")[0] == 0
    model = load("grown").runtime.model
    model.train()
    assert not model.backbone.training
    assert not model.heads["first"].training
    assert model.heads["third"].training
    assert not any(p.requires_grad for p in (*model.backbone.parameters(), *model.heads["first"].parameters()))
    assert all(p.requires_grad for p in model.heads["third"].parameters())
