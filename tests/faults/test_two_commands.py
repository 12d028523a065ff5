"""Two commands at once on one folder: one wins, the other is refused by name, and no file is of both."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from command_line import exit_code
from separate import start
from toys import TOY_MODULE, TOY_RECIPE

SHORT = ("train.steps=8", "train.save_every=2", "train.eval_every=4", "train.early_stop.mode=none")
TRAIN = ("train", "toy.yaml", "--out", "RUN", *SHORT)
UNNAMED = ("train", "toy.yaml", *SHORT)
OTHER = (*TRAIN, "train.seed=1")
RESUME = (*TRAIN, "--resume")
GROW = ("add-task", "base", "more.yaml", "train.steps=3")
PAIRS = {
    "train and train": ("", TRAIN, OTHER),
    "train and resume": ("", TRAIN, RESUME),
    "train and add-task": ("", TRAIN, (*GROW, "--out", "RUN")),
    "train and extract": ("", TRAIN, ("extract", "base", "--tasks", "first", "--out", "RUN")),
    "train and train by default names": ("", UNNAMED, (*UNNAMED, "train.seed=1")),
    "extract and drop-task": (
        "",
        ("extract", "base", "--tasks", "first", "--out", "RUN"),
        ("drop-task", "base", "first", "--out", "RUN"),
    ),
    "add-task and add-task": ("", (*GROW, "--out", "RUN"), (*GROW, "train.seed=1", "--out", "RUN")),
    "resume and resume": ("half", RESUME, RESUME),
    "resume and train": ("half", RESUME, OTHER),
    "resume and report": ("half", RESUME, ("report", "RUN")),
    "resume and report --evaluate": ("half", RESUME, ("report", "RUN", "--evaluate")),
    "resume and export into the run": ("half", RESUME, ("export", "RUN", "--to", "safetensors")),
    "resume and tta into the run": ("half", RESUME, ("tta", "RUN", "--csv", "RUN/tta.csv")),
}
REPEATS = 4  # of each pair: 52 in all


def command(site: Path, folder: Path, arguments: tuple[str, ...], said: Path, number: int) -> None:
    """Runs `umbel` in a process of its own, which starts as its brother does."""
    sys.path.insert(0, str(site))
    os.chdir(folder)
    descriptor = os.open(said, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    (folder / f"ready-{number}").touch()
    while not (folder / f"ready-{1 - number}").exists():
        time.sleep(0.0005)
    code = exit_code(*arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recipes, a trained run `base` and one that was stopped half-way, `half`."""
    folder = tmp_path_factory.mktemp("material")
    site = folder / "site"
    info = site / "toy_tasks-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "toy_tasks.py").write_text(TOY_MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-tasks\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[umbel.v1]\nmain = toy_tasks\n")
    (folder / "toy.yaml").write_text(TOY_RECIPE.replace("batch_size", "workers: 0, batch_size"))
    (folder / "more.yaml").write_text(
        "tasks:\n  third: {kind: bright, workers: 0, batch_size: 2, input_size: [16, 16]}\n"
    )
    for name in ("base", "half"):
        (folder / "ready-1").touch()
        process = start(command, site, folder, (*UNNAMED, "--out", name), folder / "said", 0)
        process.join()
        assert process.exitcode == 0, (folder / "said").read_text()
    shutil.rmtree(folder / "half" / "checkpoints" / "step-00000008")
    for pointer in (folder / "half" / "checkpoints").glob("[bl]*"):
        pointer.write_text("step-00000006")
    (folder / "half" / "scores.json").unlink()
    for leftover in folder.glob("ready-*"):
        leftover.unlink()
    return folder


def both(material: Path, folder: Path, run: str, pair: tuple[tuple[str, ...], ...]) -> list[tuple[int, str]]:
    """Exit code and output of two commands that start at once."""
    for name in ("toy.yaml", "more.yaml"):
        shutil.copy(material / name, folder)
    shutil.copytree(material / "base", folder / "base")
    if run:
        shutil.copytree(material / run, folder / "RUN")
    processes = [
        start(command, material / "site", folder, arguments, folder / f"said-{number}", number)
        for number, arguments in enumerate(pair)
    ]
    for process in processes:
        process.join()
    return [(process.exitcode, (folder / f"said-{n}").read_text()) for n, process in enumerate(processes)]


def check_run(run: Path) -> None:
    """Recipe, checkpoints and metrics are of one run."""
    from umbel.config.read import read_tree
    from umbel.registry.plugins import Plugins

    assert not (run / ".umbel.io.lock").exists()
    seed = read_tree(str(run / "recipe.yaml"), Plugins()).train.get("seed", 0)
    states = [json.loads(path.read_text()) for path in run.glob("checkpoints/step-*/state.json")]
    assert states
    assert {state["seed"] for state in states} == {seed}
    assert not list(run.glob("checkpoints/*.tmp-*"))
    if (run / "metrics.jsonl").is_file():
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        steps = [line["step"] for line in lines if "losses" in line]
        assert steps == sorted(set(steps))
        json.loads((run / "plugins.json").read_text())
        json.loads((run / "report.json").read_text())


REFUSALS = (
    "is being written by umbel",
    "already holds a run",
    "no usable checkpoint",
    "is gone",
    "is not a run",
    "no such run",
)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("repeat", range(REPEATS))
def test_one_wins_and_the_other_is_refused_by_name(material: Path, tmp_path: Path, name: str, repeat: int) -> None:
    run, *pair = PAIRS[name]
    order = pair if repeat % 2 == 0 else pair[::-1]
    outcomes = both(material, tmp_path, run, tuple(order))
    codes = [code for code, _ in outcomes]
    texts = "\n".join(text for _, text in outcomes)
    assert 0 in codes, texts
    if "default names" in name:
        assert codes == [0, 0], texts
        check_run(tmp_path / "runs" / "toy")
        check_run(tmp_path / "runs" / "toy-2")
        return
    check_run(tmp_path / "RUN")
    if "and report" not in name and "into the run" not in name and name != "resume and resume":
        assert codes != [0, 0], texts  # the others may have come one after the other
    for code, text in outcomes:
        if code:
            assert code in (2, 3), text
            assert any(refusal in text.splitlines()[-1] for refusal in REFUSALS), text


def test_one_of_each_sort(material: Path, tmp_path: Path) -> None:
    """The same in brief, of trainings in one new folder and in the folders that umbel names itself."""
    for number, name in enumerate(("train and train", "train and train by default names")):
        folder = tmp_path / str(number)
        folder.mkdir()
        test_one_wins_and_the_other_is_refused_by_name(material, folder, name, 0)
