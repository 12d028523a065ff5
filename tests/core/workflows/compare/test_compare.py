"""A whole comparison of two toy tasks, and what happens when it is asked for again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from umbel.cli import main
from umbel.workflows.compare.models import make_plan

Arguments = list[str]


@pytest.fixture
def arguments(distribute, recipe_file: Path, tmp_path: Path) -> Arguments:  # type: ignore[no-untyped-def]
    distribute("toy-plugin")
    return ["compare", str(recipe_file), "--steps", "3", "--quiet", "--out", str(tmp_path / "out"), "--json"]


def compare(arguments: Arguments, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    main(arguments)
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_a_comparison_is_right_and_is_not_trained_twice(
    arguments: Arguments, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = compare([*arguments, "--seeds", "0,1"], capsys)
    out = tmp_path / "out"
    scores = {path.parent.name: json.loads(path.read_text()) for path in out.glob("*/scores.json")}
    assert sorted(scores) == sorted(f"{n}-seed{s}" for n in ("joint", "first-alone", "second-alone") for s in (0, 1))
    changes = []
    for seed in (0, 1):
        pairs = [
            (scores[f"joint-seed{seed}"][f"{t}/closeness"], scores[f"{t}-alone-seed{seed}"][f"{t}/closeness"])
            for t in ("first", "second")
        ]
        changes.append(sum((a - b) / abs(b) for a, b in pairs) / 2)
    assert result["delta_m"]["mean"] == pytest.approx(sum(changes) / 2)  # type: ignore[index]
    assert result["steps"] == 3
    cost = result["cost"]
    assert cost["joint_parameters"] < cost["alone_parameters"]  # type: ignore[index]
    assert json.loads((out / "compare.json").read_text()) == result

    written = {path: path.stat().st_mtime_ns for path in out.glob("*/scores.json")}
    (out / "first-alone-seed1" / "scores.json").unlink()  # as if it had been stopped after its last checkpoint
    again = compare([*arguments, "--seeds", "0,1"], capsys)
    assert again["tasks"] == result["tasks"]
    kept = {path: path.stat().st_mtime_ns for path in written}
    assert [path.parent.name for path in written if kept[path] != written[path]] == ["first-alone-seed1"]

    for change in ("optim.lr=0.5", "tasks.first.batch_size=3", "train.accumulate=2", "score=first"):
        with pytest.raises(SystemExit) as caught:
            main([*arguments, change])
        assert caught.value.code == 2
        assert f"{change.partition('=')[0]} differ" in capsys.readouterr().err
    main([*(argument for argument in arguments if argument != "--json"), "tasks.first.workers=1"])
    table = capsys.readouterr().out
    for said in ("delta-m", "parameters:", "budget: 3 steps", "one seed"):
        assert said in table


def test_a_twin_starts_with_the_weights_that_the_joint_model_starts_with(
    arguments: Arguments, recipe_file: Path, tmp_path: Path
) -> None:
    from umbel.config.load import load_recipe
    from umbel.registry.plugins import Plugins
    from umbel.runtime.build import build

    plan = make_plan(str(recipe_file), [], [3], None, tmp_path / "p")
    assert plan.steps == 12
    plugins = Plugins.discover()
    models = {
        m.name: build(load_recipe(plan.recipe, m.overrides, plugins).typed, plugins, pretrained=True)[1]
        for m in plan.models
    }
    joint = models.pop("joint").state_dict()
    for model in models.values():
        for key, value in model.state_dict().items():
            assert torch.equal(value, joint[key])


def test_a_twin_trains_every_step_for_as_many_images_as_beside_the_others(
    arguments: Arguments, recipe_file: Path, tmp_path: Path
) -> None:
    from umbel.config.load import load_recipe
    from umbel.registry.plugins import Plugins

    schedule = [
        *("tasks.second.every=3", "tasks.second.start_step=2", "tasks.second.stop_step=9"),
        *("train.eval_every=4", "train.early_stop.mode=primary", "train.early_stop.primary=first"),
    ]
    plan = make_plan(str(recipe_file), schedule, [0], 12, tmp_path / "p")
    twins = {m.name: load_recipe(plan.recipe, m.overrides, Plugins.discover()).typed for m in plan.models}
    assert {name: twin.train.steps for name, twin in twins.items()} == {"joint": 12, "first": 12, "second": 3}
    second = twins["second"].tasks["second"]
    assert (second.every, second.start_step, second.stop_step) == (1, 0, None)
    assert twins["second"].train.early_stop.primary == "second"
    turns = make_plan(str(recipe_file), ["train.schedule.strategy=round_robin"], [0], 7, tmp_path / "p")
    assert [model.overrides[2] for model in turns.models] == [f"train.steps={n}" for n in (7, 4, 3)]


@pytest.mark.parametrize(
    ("extra", "code", "said"),
    [
        (["tasks.second=null"], 2, "two tasks"),
        (["--seeds", "1,x"], 2, "whole numbers"),
        (["--seeds", "1,1"], 2, "name each once"),
        (["--seeds", ""], 2, "name each once"),
        (["tasks.third.kind=bright"], 2, "third"),
    ],
)
def test_what_cannot_be_compared(
    arguments: Arguments, extra: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*arguments, *extra])
    assert caught.value.code == code
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
