"""Training goes on while a thread writes, and leaves what it would leave if it waited."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toys import TOY_RECIPE, ToyPlugin
from whole_state import differing, whole_state

from umbel import hookimpl
from umbel.checkpoint import save_job as job_module
from umbel.checkpoint import write as write_module
from umbel.checkpoint.read import find_checkpoint
from umbel.config.load import load_recipe
from umbel.contract.errors import CheckpointError, PluginError
from umbel.registry.plugins import Plugin, Plugins
from umbel.training import evaluating as evaluating_module
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train

Launch = Callable[..., Run]


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    (tmp_path / "toy.yaml").write_text(TOY_RECIPE)

    def start(out: str, *overrides: str, observer: object = None, resume: bool = False) -> Run:
        plugins = Plugins()
        plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
        if observer is not None:
            plugins.register(observer, Plugin("observer", "1.0", "observer"))
        loaded = load_recipe(str(tmp_path / "toy.yaml"), ("train.save_every=1", *overrides), plugins)
        run = prepare(loaded, tmp_path / out)
        train(run, resume=resume)
        return run

    return start


def files(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize("retention", [("train.keep_checkpoints=100",), ("train.keep_every=5",)])
def test_folders_are_the_same_to_the_byte(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, retention: tuple[str, ...]
) -> None:
    """Every checkpoint, its best scores, the pointers, and what is kept."""
    monkeypatch.setattr("umbel.training.parts.time", SimpleNamespace(perf_counter=lambda: 0.0))
    overrides = ("train.ema_decay=0.9", "train.eval_every=2", *retention)
    later, at_once = (launch(name, f"train.save_async={name}", *overrides) for name in ("true", "false"))
    assert files(later.checkpoints) == files(at_once.checkpoints)
    assert len(files(later.checkpoints)) > 10
    assert later.best == at_once.best


class Disk:
    """Writes the checkpoint of a step once the training has done the next one, or once `gate` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
        self.events: list[str] = []
        self.gate = threading.Event()
        self.done = [threading.Event() for _ in range(12)]  # by step
        self.last = last
        self.error: BaseException | None = None  # is raised in the last step
        write = write_module.write_checkpoint

        def write_later(root: Path, step: int, *given: Any, **options: Any) -> Path:
            self.events.append(f"begin {step}")
            if threading.current_thread().name == "checkpoint":
                while not self.gate.is_set() and not self.done[step + 1].is_set():
                    self.done[step + 1].wait(0.01)
            folder = write(root, step, *given, **options)
            self.events.append(f"end {step}")
            return folder

        monkeypatch.setattr(job_module, "write_checkpoint", write_later)

    @hookimpl
    def umbel_step_finished(self, step: int) -> None:
        self.events.append(f"step {step}")
        if step == self.last and self.error is not None:
            if not isinstance(self.error, KeyboardInterrupt):
                self.gate.set()
            raise self.error
        self.done[step].set()


def without_begin(events: list[str]) -> list[str]:
    return [event for event in events if not event.startswith("begin")]


def test_training_goes_on_and_the_next_save_waits(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 6)
    run = launch("slow", "train.steps=6", "train.save_every=2", observer=disk)
    written = [event for event in disk.events if not event.startswith("step")]
    assert written == ["begin 2", "end 2", "begin 4", "end 4", "begin 6", "end 6"]
    for step in (2, 4):
        assert disk.events.index(f"step {step + 1}") < disk.events.index(f"end {step}")
    assert disk.events[-1] == "end 6"
    assert find_checkpoint(run.checkpoints).step == 6


def test_training_waits_if_it_is_told_to(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 4)
    launch("slow", "train.steps=4", "train.save_every=2", "train.save_async=false", observer=disk)
    assert disk.events == ["step 1", "step 2", "begin 2", "end 2", "step 3", "step 4", "begin 4", "end 4"]


def test_error_waits_for_the_checkpoint(launch: Launch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    disk = Disk(monkeypatch, 3)
    disk.error = RuntimeError("of a plugin")
    with pytest.raises(PluginError, match="of a plugin"):
        launch("failed", "train.save_every=2", observer=disk)
    assert without_begin(disk.events) == ["step 1", "step 2", "step 3", "end 2"]
    assert find_checkpoint(tmp_path / "failed" / "checkpoints").step == 2


def test_error_is_not_hidden_by_a_refusal(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*given: Any, **options: Any) -> Path:
        raise CheckpointError("cannot be saved: disk full")

    disk = Disk(monkeypatch, 3)
    disk.error = RuntimeError("of a plugin")
    monkeypatch.setattr(job_module, "write_checkpoint", refuse)
    with caplog.at_level(logging.WARNING), pytest.raises(PluginError, match="of a plugin"):
        launch("failed", "train.save_every=2", observer=disk)
    assert "disk full" in caplog.text


def test_second_interrupt_does_not_wait(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch, 3)
    disk.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        launch("failed", "train.save_every=2", observer=disk)
    assert "end 2" not in disk.events
    disk.gate.set()
    for thread in threading.enumerate():
        if thread.name == "checkpoint":
            thread.join(120)


class Spy:
    """What the best scores are when an evaluation is told of: of all that was saved before."""

    def __init__(self) -> None:
        self.seen: list[dict[str, list[float]]] = []

    @hookimpl
    def umbel_evaluated(self, run: Run) -> None:
        self.seen.append({key: list(value) for key, value in run.best.items()})


def test_observers_see_the_same_best_scores(launch: Launch) -> None:
    later, at_once = Spy(), Spy()
    launch("later", "train.eval_every=3", observer=later)
    launch("at-once", "train.eval_every=3", "train.save_async=false", observer=at_once)
    assert later.seen == at_once.seen
    assert len(later.seen[1]) == 3


def test_run_that_stops_early_has_its_last_checkpoint(launch: Launch) -> None:
    run = launch("early", "train.eval_every=2", "train.early_stop={mode: all, patience: 1, min_delta: 1.0}")
    assert run.runtime.steps_done < 12
    assert find_checkpoint(run.checkpoints).step == run.runtime.steps_done


class Evaluations:
    """What is on disk when an evaluation begins; the one of a step may fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int = 0) -> None:
        self.found: list[tuple[int, Any, int]] = []
        self.fail_at = fail_at
        self.steps: list[int] = []
        evaluate = evaluating_module.evaluate

        def watched(runtime: Any, tasks: Any, data: Any, formula: str, *given: Any, interrupt: Any) -> Any:
            step = runtime.steps_done
            if self.root is not None and step == 4:
                found = find_checkpoint(self.root)
                weights = (found.path / "model.safetensors").stat().st_ino
                self.found.append((found.step, found.state["evaluated"], weights))
            if step == self.fail_at:
                raise ValueError("a metric fails")
            return evaluate(runtime, tasks, data, formula, *given, interrupt=interrupt)

        self.root: Path | None = None
        monkeypatch.setattr(evaluating_module, "evaluate", watched)

    @hookimpl
    def umbel_run_started(self, run: Run) -> None:
        self.root = run.checkpoints

    @hookimpl
    def umbel_step_finished(self, step: int) -> None:
        self.steps.append(step)


@pytest.mark.parametrize("later", ["true", "false"])
def test_last_checkpoint_is_there_before_the_last_evaluation(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    watch = Evaluations(monkeypatch)
    settings = ("train.steps=4", "train.save_every=0", "train.eval_every=2", f"train.save_async={later}")
    run = launch("a", *settings, observer=watch)
    ((step, evaluated, weights),) = watch.found
    assert (step, evaluated) == (4, False)
    last = find_checkpoint(run.checkpoints)
    assert (last.step, last.state["evaluated"], last.state["best"]) == (4, True, run.best)
    assert (last.path / "model.safetensors").stat().st_ino == weights  # they were not written again
    assert {int(step) for _, step in run.best.values()} <= {2, 4}


@pytest.mark.parametrize("fail_at", [2, 4])
def test_evaluation_that_fails_is_made_up_for_without_a_step(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, fail_at: int
) -> None:
    settings = ("train.steps=4", "train.save_every=0", "train.eval_every=2")
    straight = launch("straight", *settings)
    with monkeypatch.context() as patch, pytest.raises(ValueError, match="a metric fails"):
        launch("broken", *settings, observer=Evaluations(patch, fail_at))
    with monkeypatch.context() as patch:
        watch = Evaluations(patch)
        resumed = launch("broken", *settings, observer=watch, resume=True)
    assert watch.steps == list(range(fail_at + 1, 5))
    left, right = (whole_state(find_checkpoint(run.checkpoints).path) for run in (resumed, straight))
    assert differing(left, right) == []
    pointers = [{p.name: p.read_text() for p in run.checkpoints.glob("best*")} for run in (resumed, straight)]
    assert pointers[0] == pointers[1]


def test_nothing_is_copied_for_a_save_at_the_end(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umbel.checkpoint.snapshot.Snapshot.copy", lambda *given: pytest.fail("copied"))
    assert torch.is_tensor(
        find_checkpoint(launch("end", "train.save_every=0").checkpoints).tensors("model")["backbone.conv.bias"]
    )


def test_resumed_run_may_save_otherwise(launch: Launch) -> None:
    run = launch("changed", "train.save_async=false")
    assert launch("changed", "train.save_async=true", resume=True).best == run.best
