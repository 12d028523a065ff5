"""The command line, run in this process with the toys as an installed distribution."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
import pytest
import yaml

from umbel.cli import main
from umbel.data.images import write_image

Cli = Callable[..., tuple[int, str, str]]
Distribute = Callable[..., Path]


@pytest.fixture
def cli(
    distribute: Distribute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Cli:
    """Runs the command line in tmp_path; gives the exit code, stdout and stderr."""
    distribute("toy-tasks")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(list(arguments))
        except SystemExit as stop:
            code = int(stop.code or 0)
        return (code, *capfd.readouterr())

    return run


def assert_one_line(err: str) -> None:
    assert "Traceback" not in err
    errors = [line for line in err.splitlines() if line.startswith("umbel: error: ")]
    assert len(errors) == 1, err


def test_train_prints_results_to_stdout_and_progress_to_stderr(cli: Cli, recipe_file: Path) -> None:
    code, out, err = cli("train", str(recipe_file), "--out", "run", "train.steps=4")
    assert code == 0
    assert out.splitlines()[0].split() == ["metric", "value"]
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["first/closeness", "second/closeness", "score"]
    assert "step 4/4" in err
    assert "step 4/4" not in out
    assert "evaluated at step 4" in err
    scores = json.loads(Path("run/scores.json").read_text())
    assert f"{scores['score']:.4f}" in out.splitlines()[-1]
    assert Path("run/recipe.yaml").is_file()
    assert Path("run/metrics.jsonl").is_file()


def test_train_refuses_a_folder_that_holds_a_run_and_resumes_on_request(cli: Cli, recipe_file: Path) -> None:
    assert cli("train", str(recipe_file), "--out", "run", "train.steps=4")[0] == 0
    code, out, err = cli("train", str(recipe_file), "--out", "run", "train.steps=4")
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert "already holds a run" in err
    assert cli("train", str(recipe_file), "--out", "run", "--resume", "train.steps=4")[0] == 0
    code, _, err = cli("train", str(recipe_file), "--resume")
    assert code == 2
    assert "--out DIR" in err
    code, _, err = cli("train", str(recipe_file), "--resume", "--out", "empty")
    assert code == 3
    assert "no usable checkpoint" in err


def test_train_makes_a_new_folder_each_time(cli: Cli, recipe_file: Path) -> None:
    for name in ("toy", "toy-2"):
        code, _, err = cli("train", str(recipe_file), "train.steps=1")
        assert code == 0
        assert f"run: runs/{name}" in err.splitlines()
        assert Path("runs", name, "scores.json").is_file()


def test_evaluate_and_predict_a_run(cli: Cli, recipe_file: Path) -> None:
    cli("train", str(recipe_file), "--out", "run", "train.steps=4")
    scores = json.loads(Path("run/scores.json").read_text())
    code, out, _ = cli("evaluate", "run", "--json", "--checkpoint", "best")
    assert code == 0
    assert json.loads(out) == pytest.approx(scores, abs=1e-6)
    code, out, _ = cli("evaluate", "run", "score=first")
    assert code == 0
    assert out.splitlines()[-1].split() == ["score", f"{scores['first/closeness']:.4f}"]
    write_image(Path("photo.png"), np.zeros((8, 8, 3), np.uint8))
    code, out, _ = cli("predict", "run", "photo.png", "--task", "first")
    assert code == 0
    assert out.splitlines() == ["predictions/first/photo.jpg", "predictions/first.json"]
    assert list(json.loads(Path("predictions/first.json").read_text())) == ["photo.png"]
    code, out, err = cli("predict", "run", "gone.png")
    assert (code, out) == (3, "")
    assert_one_line(err)
    code, _, err = cli("predict", "run", "photo.png", "--task", "thrid")
    assert code == 2
    assert "no task 'thrid'" in err


def test_check_reports_and_writes_nothing(cli: Cli, recipe_file: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    code, out, _ = cli("check", str(recipe_file))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["task", "train", "val", "batch"]
    assert lines[2].split()[:5] == ["first", "12", "12", "4", "4x3x32x48"]
    assert lines[-1] == "12 steps of 7 images"
    assert sorted(tmp_path.iterdir()) == before


def test_check_draws_training_samples_on_request(cli: Cli, recipe_file: Path) -> None:
    code, out, _ = cli("check", str(recipe_file), "--pictures", "look")
    assert code == 0
    assert out.splitlines()[:2] == ["look/first.jpg", "look/second.jpg"]
    assert all(Path("look", name).stat().st_size > 5_000 for name in ("first.jpg", "second.jpg"))


def test_plugins_json_says_what_comes_from_where(cli: Cli, distribute: Distribute) -> None:
    distribute("umbel-later", {"later_module": ""}, group="umbel.v2")
    code, out, err = cli("plugins", "--json")
    assert (code, err) == (0, "")
    listed = json.loads(out)
    own = [offer for offer in listed["offers"] if offer["distribution"] == "toy-tasks"]
    assert own == [
        {"role": "task", "name": "bright", "distribution": "toy-tasks", "version": "1.0"},
        {"role": "backbone", "name": "tiny", "distribution": "toy-tasks", "version": "1.0"},
    ]
    assert listed["other_api"] == {"umbel-later": ["umbel.v2"]}
    assert listed["broken"] == listed["blocked"] == []
    assert "offers umbel.v2; this umbel loads umbel.v1: upgrade umbel" in listed["other_api_messages"]["umbel-later"]
    assert (listed["api"], listed["allow"], listed["deny"]) == (1, None, [])
    (plugin,) = [plugin for plugin in listed["plugins"] if plugin["distribution"] == "toy-tasks"]
    assert plugin["hooks"] == ["umbel_backbones", "umbel_tasks"]
    assert (plugin["entry_point"], plugin["error"]) == ("main", "")
    verbs = {offer["name"]: offer["distribution"] for offer in listed["offers"] if offer["role"] == "verb"}
    assert verbs["demo"] == "umbel"
    assert "train" not in verbs
    assert {offer["name"] for offer in listed["offers"] if offer["role"] == "recipe"} >= {"demo", "traffic"}


def test_plugins_names_what_is_broken_or_blocked_and_exits_with_1(
    cli: Cli, distribute: Distribute, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribute("umbel-bad", {"bad_for_cli": "raise OSError('no licence')"})
    monkeypatch.setenv("UMBEL_DISABLE", "toy-tasks")
    code, out, err = cli("plugins")
    assert code == 1
    assert "broken: umbel-bad:main 1.0: OSError: no licence" in err
    assert "blocked: toy-tasks:main" in err
    assert "bright" not in out
    code, out, _ = cli("plugins", "--json")
    assert code == 1
    assert json.loads(out)["broken"] == [{"plugin": "umbel-bad:main", "version": "1.0", "error": "OSError: no licence"}]


def test_show_prints_a_recipe_that_loads_to_the_same(cli: Cli, recipe_file: Path) -> None:
    code, out, _ = cli("show", str(recipe_file), "train.seed=5", "tasks.second=null")
    assert code == 0
    shown = yaml.safe_load(out)
    assert shown["train"]["seed"] == 5
    assert shown["tasks"]["first"]["options"] == {"count": 12, "threshold": 128}
    assert shown["optim"]["eps"] == 1e-8  # a default
    Path("shown.yaml").write_text(out)
    assert cli("show", "shown.yaml")[1] == out


def test_show_schema_documents_options(cli: Cli) -> None:
    code, out, _ = cli("show", "--schema", "bright")
    assert code == 0
    assert out.splitlines()[:3] == ["tasks.NAME.options of task 'bright':", "  count = 12", "      images"]
    assert "backbone.options of backbone 'tiny':\n  width = 8" in cli("show", "--schema", "tiny")[1]
    recipe = cli("show", "--schema", "recipe")[1]
    for part in ("tasks.NAME:", "kind = required", "optim:", "warmup_steps = 200", "train:", "tta = see below"):
        assert part in recipe
    code, out, err = cli("show", "--schema", "brigth")
    assert (code, out) == (2, "")
    assert "did you mean 'bright'?" in err


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["show", "missing.yaml"], 2, "no recipe 'missing.yaml'"),
        (["train", "toy.yaml", "train.stps=3"], 2, "Did you mean: 'steps'?"),
        (["check", "toy.yaml", "tasks.first.input_size=[30,30]"], 2, "largest stride 8"),
        (["check", "toy.yaml", "tasks.first.options.count=0"], 3, "split 'train' is empty"),
        (["evaluate", "."], 3, "is not a run"),
        (["train", "toy.yaml", "optim.lr=100", "optim.warmup_steps=0", "optim.clip_norm=null", "train.steps=1",
          "tasks.first.weight=1e6", "score=first/0"], 2, "divides by zero"),
    ],
)  # fmt: skip
def test_errors_are_one_line_with_their_exit_code(
    cli: Cli, recipe_file: Path, arguments: Sequence[str], code: int, part: str
) -> None:
    given, out, err = cli(*arguments)
    assert given == code
    assert out == ""
    assert_one_line(err)
    assert part in err


@pytest.mark.parametrize("arguments", [["sing"], ["train"], ["train", "toy.yaml", "--colour"], ["show"]])
def test_usage_errors_exit_with_2(cli: Cli, recipe_file: Path, arguments: Sequence[str]) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: umbel" in err
    assert "Traceback" not in err


def failing(error: str) -> dict[str, str]:
    source = f"""
import click
from umbel import hookimpl

@hookimpl
def umbel_commands(cli):
    @cli.command("fail")
    def fail():
        {error}
"""
    return {"failing_module": source}


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        ("raise KeyboardInterrupt", 130, "interrupted"),
        ("raise ValueError('first\\n  second')", 70, "ValueError: first second (a defect"),
        ("raise RuntimeError('Caught in worker\\nTraceback (most recent call last):\\n  x\\nKeyError: 3')", 70,
         "RuntimeError: KeyError: 3 (a defect"),
        ("from umbel.errors import TrainingError; raise TrainingError('exploded')", 1, "exploded"),
        ("raise click.exceptions.Exit(4)", 4, ""),
    ],
)  # fmt: skip
def test_a_verb_of_a_plugin_ends_as_umbels_own_do(
    cli: Cli, distribute: Distribute, error: str, code: int, part: str
) -> None:
    distribute("umbel-failing", failing(error))
    given, out, err = cli("fail")
    assert (given, out) == (code, "")
    if part:
        assert_one_line(err)
        assert part in err


@pytest.mark.parametrize("error", ["raise ValueError('oh')", "raise KeyboardInterrupt"])
def test_debug_lets_the_error_through(cli: Cli, distribute: Distribute, error: str) -> None:
    distribute("umbel-failing", failing(error))
    with pytest.raises((ValueError, click.Abort)):
        cli("fail", "--debug")


def test_plugin_that_breaks_the_command_line_does_not(cli: Cli, distribute: Distribute) -> None:
    distribute(
        "umbel-bad", {"bad_verbs": "from umbel import hookimpl\n@hookimpl\ndef umbel_commands(cli):\n    1 / 0\n"}
    )
    code, out, _ = cli("--help")
    assert code == 0
    assert "train" in out
