"""A disk that refuses costs a run a warning, and weights that are not finite are never saved."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from toys import TOY_RECIPE, ToyPlugin

from umbel import hookimpl
from umbel.checkpoint.layout import checkpoint_folders
from umbel.checkpoint.read import find_checkpoint, open_checkpoint
from umbel.checkpoint.save_job import refuse_non_finite
from umbel.config.load import load_recipe
from umbel.contract.errors import CheckpointError, TrainingError
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train

Launch = Callable[..., Run]


@pytest.fixture(params=["true", "false"], ids=["by-a-thread", "while-training-waits"])
def launch(tmp_path: Path, request: pytest.FixtureRequest) -> Launch:
    (tmp_path / "toy.yaml").write_text(TOY_RECIPE)

    given = ("train.save_every=1", f"train.save_async={request.param}")

    def start(out: str, *overrides: str, observer: object = None, resume: bool = False) -> Run:
        plugins = Plugins()
        plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
        if observer is not None:
            plugins.register(observer, Plugin("observer", "1.0", "observer"))
        loaded = load_recipe(str(tmp_path / "toy.yaml"), (*given, *overrides), plugins)
        run = prepare(loaded, tmp_path / out)
        train(run, resume=resume)
        return run

    return start


def break_disk(monkeypatch: pytest.MonkeyPatch, code: int, steps: range) -> None:
    """Makes it refuse to flush what is of some steps."""
    fsync = os.fsync

    def flush(descriptor: int) -> None:
        found = re.search(r"/step-(\d+)", os.readlink(f"/proc/self/fd/{descriptor}"))
        if found and int(found[1]) in steps:
            raise OSError(code, os.strerror(code))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", flush)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_disk_that_refuses_for_a_while_costs_warnings(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    straight = launch("straight")
    break_disk(monkeypatch, code, range(5, 7))
    with caplog.at_level(logging.WARNING):
        run = launch("refused")
    for step, count in ((5, 1), (6, 2)):
        text = f"step-{step:08d}: cannot be saved: {os.strerror(code)} (earlier checkpoints are untouched)"
        assert f"{text}; training goes on and tries again ({count}/3)" in caplog.text
    assert run.saver.failed == 0
    assert not list(run.checkpoints.glob("*.tmp-*"))
    one, other = (find_checkpoint(each.checkpoints) for each in (run, straight))
    assert one.step == other.step == 12
    for name, value in other.tensors("model").items():
        assert torch.equal(one.tensors("model")[name], value)


def test_too_many_refusals_in_a_row_end_the_run_and_harm_nothing(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    break_disk(monkeypatch, errno.ENOSPC, range(5, 100))
    with pytest.raises(CheckpointError, match="step-00000007: cannot be saved") as caught:
        launch("refused")
    assert caught.value.exit_code == 3
    folders = checkpoint_folders(tmp_path / "refused" / "checkpoints")
    assert [open_checkpoint(folder).step for folder in folders] == [4, 3]
    monkeypatch.undo()
    assert find_checkpoint(launch("refused", resume=True).checkpoints).step == 12


def test_last_save_must_succeed(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    break_disk(monkeypatch, errno.ENOSPC, range(12, 13))
    with pytest.raises(CheckpointError, match="step-00000012: cannot be saved"):
        launch("refused")


def test_needed_save_is_tried_however_many_were_refused_before(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    break_disk(monkeypatch, errno.ENOSPC, range(9, 12))
    if request.node.callspec.params["launch"] == "false":  # it has ended before
        with pytest.raises(CheckpointError, match="step-00000011: cannot be saved"):
            launch("refused")
    else:
        assert find_checkpoint(launch("refused").checkpoints).step == 12


def test_best_is_what_could_be_saved(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    break_disk(monkeypatch, errno.ENOSPC, range(5, 7))
    run = launch("refused", "train.eval_every=1")
    assert {int(step) for _, step in run.best.values()}.isdisjoint({5, 6})
    for pointer, key in (("best", "score"), ("best-first", "first/closeness")):
        assert find_checkpoint(run.checkpoints, pointer).step == run.best[key][1]


class Poison:
    """Ruins a number of the model after a step."""

    def __init__(self, name: str, value: float, *, average: bool = False) -> None:
        self.name, self.value, self.average = name, value, average

    @hookimpl
    def umbel_step_finished(self, run: Run, step: int) -> None:
        if step == 6:
            held = run.runtime.average.shadow if self.average else run.runtime.model.state_dict()
            held[self.name][(0,) * held[self.name].ndim] = self.value


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("average", [False, True])
def test_weights_that_are_not_finite_become_neither_latest_nor_best(
    launch: Launch, tmp_path: Path, value: float, average: bool
) -> None:
    poison = Poison("backbone.conv.weight", value, average=average)
    file = "average" if average else "model"
    with pytest.raises(TrainingError, match=rf"not finite after step 6: {file}: backbone\.conv\.weight; not saved"):
        launch("poisoned", "train.ema_decay=0.9", "train.eval_every=1", observer=poison)
    root = tmp_path / "poisoned" / "checkpoints"
    assert find_checkpoint(root).step == 5
    assert (root / "latest").read_text() == "step-00000005"
    for pointer in root.glob("best*"):
        assert find_checkpoint(root, pointer.name).step <= 5


def test_infinite_buffers_may_be_meant_but_not_nan() -> None:
    mask = torch.tensor([0.0, -torch.inf])
    refuse_non_finite({"model": {"w": torch.ones(2), "mask": mask}, "optimizer": {"w/exp_avg_sq": mask}}, {"w"}, 1)
    for bad in ({"model": {"mask": mask * 0}}, {"optimizer": {"w/exp_avg": mask * 0}}, {"model": {"w": mask}}):
        with pytest.raises(TrainingError):
            refuse_non_finite(bad, {"w"}, 1)
    refuse_non_finite({"model": {"count": torch.tensor(3), "none": torch.zeros(0)}}, {"w"}, 1)


class FullDiskObserver:
    @hookimpl
    def umbel_step_finished(self, step: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_observer_that_cannot_write_is_said_once(launch: Launch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run = launch("full", observer=FullDiskObserver())
    assert find_checkpoint(run.checkpoints).step == 12
    assert caplog.text.count("an observer cannot write") == 1
