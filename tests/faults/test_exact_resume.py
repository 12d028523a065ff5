"""A run stopped after any step and resumed is the straight run, to the last bit of its whole state."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from generators.traffic import write_small
from toys import TOY_RECIPE, BrightTask, ToyPlugin
from whole_state import StepLog, differing, leaves, whole_state

from umbel import Losses, hookimpl
from umbel.checkpoint.layout import checkpoint_folder
from umbel.checkpoint.read import find_checkpoint, open_checkpoint
from umbel.checkpoint.write import write_checkpoint
from umbel.config.load import load_recipe
from umbel.contract.errors import CheckpointError, InterruptedRunError, TrainingError
from umbel.data.loader import CompositeLoader
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train

EVERYTHING_KEPT = ("train.save_every=1", "train.keep_checkpoints=1000", "train.ema_decay=0.9")
TOY_STEPS = 44
SHORT = 12
TOY = (*EVERYTHING_KEPT, f"train.steps={TOY_STEPS}", "train.eval_every=5")
TRAFFIC_STEPS = 42
TRAFFIC = (
    "backbone.options.model=convnext_atto",
    # drop path and batch norm: randomness and buffers inside the model
    "backbone.options.model_args={depths: [1, 1, 1, 1], dims: [8, 16, 24, 32], norm_layer: batchnorm2d, "
    "drop_path_rate: 0.2}",
    "tasks.road.input_size=[64, 64]",
    "tasks.road.options.width=16",
    "tasks.cars.input_size=[32, 32]",
    "tasks.signs.input_size=[64, 64]",
    "tasks.signs.options.depth_mult=0.33",
    "tasks.signs.options.test_size=[64, 64]",
    "tasks.road.tta={scales: [1.0], hflip: false}",
    "tasks.cars.tta={scales: [1.0], hflip: false}",
    "tasks.signs.tta={sizes: [], hflip: false}",
    "train.precision=fp32",
    f"train.steps={TRAFFIC_STEPS}",
    "train.eval_every=14",
    "optim.lr=0.001",
    "optim.warmup_steps=5",
    *EVERYTHING_KEPT,
)


# said in messages, computed with by nobody
RECORDED = ("minutes", "world_size")
SHOWN_ELSEWHERE = {
    "average/backbone.norm.num_batches_tracked",  # not averaged: every step copies it from the model
    "state/guard/in_a_row",  # a good step forgets it: see test_skipped_steps_in_a_row_are_counted_over_a_stop
}


class StoppedError(Exception):
    """What ends a run in a step, as a crash would."""


class StopAfter:
    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def umbel_step_finished(self, step: int) -> None:
        if step == self.step + 1:
            raise StoppedError


class Harness:
    """Straight runs of a recipe, and tails of them from any of their checkpoints."""

    def __init__(self, root: Path, recipe: str, overrides: tuple[str, ...], plugins: Callable[[], Plugins]) -> None:
        self.root, self.recipe, self.overrides, self.plugins = root, recipe, overrides, plugins

    def start(self, out: str, *overrides: str, resume: bool = False, stop: int | None = None) -> Run:
        plugins = self.plugins()
        loaded = load_recipe(self.recipe, (*self.overrides, *overrides), plugins)
        run = prepare(loaded, self.root / out)
        if stop is None:
            train(run, resume=resume)
        else:
            plugins.register(StopAfter(stop), Plugin("umbel", "0", "stop"))
            with pytest.raises(StoppedError):
                train(run, resume=resume)
        return run

    def stopped_at(self, straight: Run, step: int, out: str) -> Path:
        """The folder of a run that was stopped after a step of the straight one."""
        folder = self.root / out
        (folder / "checkpoints").mkdir(parents=True)
        shutil.copy(straight.directory / "recipe.yaml", folder)
        source = checkpoint_folder(straight.checkpoints, step)
        shutil.copytree(source, folder / "checkpoints" / source.name)
        return folder


@pytest.fixture
def toys(tmp_path: Path) -> Harness:
    def plugins() -> Plugins:
        made = Plugins()
        made.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
        return made

    (tmp_path / "toy.yaml").write_text(TOY_RECIPE)
    return Harness(tmp_path, str(tmp_path / "toy.yaml"), TOY, plugins)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> StepLog:
    return StepLog(monkeypatch)


def check_tails(
    harness: Harness,
    straight: Run,
    log: dict[int, str],
    steps: StepLog,
    cases: Iterator[tuple[int, int, tuple[str, ...]]],
) -> int:
    """Resume after `first`, train up to `last`, compare what was seen, made and left; returns the number of cases."""
    total = straight.total_steps
    count = 0
    for count, (first, last, overrides) in enumerate(cases, 1):
        out = f"tail-{first}-{count}"
        harness.stopped_at(straight, first, out)
        run = harness.start(out, *overrides, resume=True, stop=last if last < total else None)
        made = steps.take()
        expected = {number: line for number, line in log.items() if first <= number < min(last + 1, total)}
        assert made == expected, f"resumed after {first}"
        left, right = (whole_state(checkpoint_folder(r.checkpoints, last)) for r in (run, straight))
        assert differing(left, right) == [], f"resumed after {first} with {overrides}"
        shutil.rmtree(run.directory)
    return count


@pytest.mark.slow
def test_every_stop_point_of_the_toys_is_bit_equal(toys: Harness, steps: StepLog) -> None:
    straight = toys.start("straight")
    log = steps.take()
    assert list(log) == list(range(TOY_STEPS))
    tails = ((first, TOY_STEPS, ()) for first in range(1, TOY_STEPS))
    assert check_tails(toys, straight, log, steps, tails) == TOY_STEPS - 1


@pytest.mark.slow
def test_forty_stop_points_of_the_three_kinds_are_bit_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: StepLog
) -> None:
    """Segmentation, classification and detection together, on files of the real formats; 0, 1 and 2 workers."""
    monkeypatch.setenv("UMBEL_DATA", str(write_small(tmp_path / "data")))
    harness = Harness(tmp_path, "traffic", TRAFFIC, Plugins.discover)
    workers = [tuple(f"tasks.{name}.workers={number}" for name in ("road", "cars", "signs")) for number in range(3)]
    straight = harness.start("straight", *workers[0])
    log = steps.take()
    chooser = random.Random(0)
    points = [*chooser.sample(range(1, TRAFFIC_STEPS - 2), 39), TRAFFIC_STEPS]
    # the whole state after three steps is that of the straight run, from which three more were shown to be ...
    tails = ((point, min(point + 3, TRAFFIC_STEPS), workers[number % 3]) for number, point in enumerate(points))
    assert check_tails(harness, straight, log, steps, tails) == 40
    # ... and some to the very end, one of them twice broken
    ends = ((point, TRAFFIC_STEPS, workers[point % 3]) for point in (1, 17, 30))
    check_tails(harness, straight, log, steps, ends)


def test_another_number_of_workers_after_each_of_two_stops(toys: Harness, steps: StepLog) -> None:
    straight = toys.start("straight")
    log = steps.take()
    toys.start("broken", "tasks.first.workers=2", stop=7)
    toys.start("broken", "tasks.second.workers=1", resume=True, stop=20)
    run = toys.start("broken", "tasks.first.workers=1", resume=True)
    assert {**steps.take()} == log
    last = TOY_STEPS
    left, right = (whole_state(checkpoint_folder(r.checkpoints, last)) for r in (run, straight))
    assert differing(left, right) == []
    pointers = [{p.name: p.read_text() for p in r.checkpoints.glob("best*")} for r in (run, straight)]
    assert pointers[0] == pointers[1]
    assert json.loads((run.directory / "scores.json").read_text()) == json.loads(
        (straight.directory / "scores.json").read_text()
    )


class Signal:
    """Sends a signal to this process in the middle of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    @hookimpl
    def umbel_step_finished(self, step: int) -> None:
        if step == self.step:
            os.kill(os.getpid(), signal.SIGUSR1)


@pytest.mark.parametrize("stop", [1, 4, 5, 10, SHORT])
def test_signalled_run_is_bit_equal_also_where_its_evaluation_was_left_out(
    toys: Harness, steps: StepLog, stop: int
) -> None:
    straight = toys.start("straight", f"train.steps={SHORT}")
    log = steps.take()
    plugins = toys.plugins()
    loaded = load_recipe(toys.recipe, (*toys.overrides, f"train.steps={SHORT}"), plugins)
    run = prepare(loaded, toys.root / "broken")
    plugins.register(Signal(stop), Plugin("umbel", "0", "signal"))
    with pytest.raises(InterruptedRunError, match=f"SIGUSR1 after step {stop} of {SHORT}"):
        train(run)
    evaluated = open_checkpoint(checkpoint_folder(run.checkpoints, stop)).state["evaluated"]
    assert evaluated == (stop % 5 != 0 and stop != SHORT)
    run = toys.start("broken", f"train.steps={SHORT}", resume=True)
    assert steps.take() == log
    left, right = (whole_state(checkpoint_folder(r.checkpoints, SHORT)) for r in (run, straight))
    assert differing(left, right) == []
    assert run.best == straight.best


def parts(folder: Path) -> list[str]:
    """Every part of a checkpoint that could be lost: files, kinds of optimizer state, buffers, numbers."""
    checkpoint = open_checkpoint(folder)
    kinds = {f"optimizer/{name.rpartition('/')[2]}" for name in checkpoint.tensors("optimizer")}
    buffers = {
        f"{stem}/{name}" for stem in ("model", "average") for name in checkpoint.tensors(stem) if "norm." in name
    }
    numbers = {f"state/{name}" for name, _ in leaves(checkpoint.state) if name not in RECORDED}
    return sorted({"model", "optimizer", "average", *kinds, *buffers, *numbers} - SHOWN_ELSEWHERE)


def holder(inner: Any, name: str) -> tuple[Any, Any]:
    """The container and key of a leaf of the state, by the name that `leaves` gives it; keys may have slashes."""
    for key in range(len(inner)) if isinstance(inner, list) else inner:
        if name == str(key):
            return inner, key
        if name.startswith(f"{key}/"):
            return holder(inner[key], name.removeprefix(f"{key}/"))
    raise KeyError(name)


def without(folder: Path, part: str) -> None:
    """The same checkpoint, whole to its manifest, with one part as it is in a run that has just begun."""
    checkpoint = open_checkpoint(folder)
    stems = {name.partition(".")[0] for name in checkpoint.files if name.endswith(".safetensors")}
    tensors = {stem: checkpoint.tensors(stem) for stem in stems}
    state = json.loads(json.dumps(checkpoint.state))
    place, _, rest = part.partition("/")
    if place == "state":
        inner, key = holder(state, rest)
        value = inner[key]
        if isinstance(value, list | dict):  # empty
            del inner[key]
        elif isinstance(value, bool):
            inner[key] = not value
        else:  # better than any score, later than any step: nothing overwrites it in passing
            inner[key] = f"{value}?" if isinstance(value, str) else value * 0 + 77
    elif place == "optimizer" and rest:
        for name, value in tensors[place].items():
            if name.endswith(f"/{rest}"):
                value.zero_()
    elif rest:
        tensors[place][rest].zero_()
    else:
        for value in tensors[place].values():
            value.zero_()
    step = checkpoint.step
    shutil.rmtree(folder)
    write_checkpoint(folder.parent, step, tensors, state)


@pytest.mark.slow
def test_every_part_of_the_state_that_is_lost_is_noticed(toys: Harness, steps: StepLog) -> None:
    """The negative control: a comparison that could not fail would prove nothing."""
    straight = toys.start("straight")
    log = steps.take()
    first, last = 8, 12
    later = (first + 1, last)  # before and after the next evaluation, which may hide what it judges anew
    expected = [whole_state(checkpoint_folder(straight.checkpoints, step)) for step in later]
    found = parts(checkpoint_folder(straight.checkpoints, first))
    assert {
        "optimizer/exp_avg",
        "optimizer/exp_avg_sq",
        "optimizer/step",
        "state/average_steps",
        "state/steps_done",
    } < {*found}
    assert {"state/guard/skipped", "state/best/score/0", "state/best/score/1", "state/evaluated"} < {*found}
    unnoticed = []
    for number, part in enumerate(found):
        folder = toys.stopped_at(straight, first, f"without-{number}")
        without(checkpoint_folder(folder / "checkpoints", first), part)
        try:
            run = toys.start(f"without-{number}", resume=True, stop=last)
        except (CheckpointError, pytest.fail.Exception):
            steps.take()
            continue
        seen = steps.take()
        same_steps = all(log[number] == line for number, line in seen.items())
        left = [whole_state(checkpoint_folder(run.checkpoints, step)) for step in later] if same_steps else [{}, {}]
        if not any(differing(one, other) for one, other in zip(left, expected, strict=True)):
            unnoticed.append(part)
    assert unnoticed == [], " ".join(unnoticed)


@pytest.mark.parametrize(("in_a_row", "more"), [(0, 2), (2, 0)])
def test_skipped_steps_in_a_row_are_counted_over_a_stop(
    toys: Harness, monkeypatch: pytest.MonkeyPatch, in_a_row: int, more: int
) -> None:
    straight = toys.start("straight", "train.steps=10")
    folder = toys.stopped_at(straight, 4, "broken") / "checkpoints"
    checkpoint = open_checkpoint(checkpoint_folder(folder, 4))
    tensors = {stem: checkpoint.tensors(stem) for stem in ("model", "optimizer", "average")}
    shutil.rmtree(checkpoint.path)
    write_checkpoint(folder, 4, tensors, checkpoint.state | {"guard": {"skipped": in_a_row, "in_a_row": in_a_row}})
    loss = BrightTask.loss
    monkeypatch.setattr(BrightTask, "loss", lambda self, *given: Losses(loss(self, *given).total * torch.nan, {}))
    with pytest.raises(TrainingError, match="3 steps in a row were skipped"):
        toys.start("broken", "train.steps=10", "train.non_finite=skip", "train.non_finite_limit=3", resume=True)
    assert find_checkpoint(folder).step == 4 + more


@pytest.mark.parametrize("lost", ["optimizer", "average"])
def test_file_that_was_never_written_is_noticed(toys: Harness, steps: StepLog, lost: str) -> None:
    straight = toys.start("straight", f"train.steps={SHORT}")
    folder = toys.stopped_at(straight, 8, "without") / "checkpoints"
    checkpoint = open_checkpoint(checkpoint_folder(folder, 8))
    tensors = {stem: checkpoint.tensors(stem) for stem in {"model", "optimizer", "average"} - {lost}}
    shutil.rmtree(checkpoint.path)
    write_checkpoint(folder, 8, tensors, checkpoint.state)
    with pytest.raises(CheckpointError):
        toys.start("without", f"train.steps={SHORT}", resume=True)


def test_nothing_is_replayed_however_far_a_run_is(toys: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = toys.plugins()
    loaded = load_recipe(toys.recipe, toys.overrides, plugins)
    run = prepare(loaded, toys.root / "far")
    drawn: list[int] = []
    for dataset in run.data.train.values():
        real = type(dataset).__getitem__
        monkeypatch.setattr(type(dataset), "__getitem__", lambda self, i, real=real: drawn.append(i) or real(self, i))
        break
    step = 10**9
    batch: dict[str, Any] = next(iter(CompositeLoader(run.tasks, run.data.train, seed=0, start=step, stop=step + 1)))
    assert len(drawn) == sum(len(task.ids) for task in batch.values()) == 7
    assert torch.is_tensor(batch["first"].images)
