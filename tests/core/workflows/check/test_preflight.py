"""The trial run finds what training would stumble over, and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from toys import BrightTask
from trio_data import write_trio

from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError, TrainingError
from umbel.contract.types import Losses
from umbel.registry.plugins import Plugins
from umbel.testing.gpu import pretended_gpu
from umbel.workflows.check.preflight import preflight

NewPlugins = Callable[[], Plugins]


def test_report_counts_and_tries_every_task(
    recipe_file: Path, new_plugins: NewPlugins, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plugins = new_plugins()
    before = sorted(tmp_path.iterdir())
    report = preflight(load_recipe(str(recipe_file), (), plugins))
    assert sorted(tmp_path.iterdir()) == before
    assert [(t.task, t.train_samples, t.val_samples, t.batch_size, t.image_shape) for t in report.tasks] == [
        ("first", 12, 12, 4, (4, 3, 32, 48)),
        ("second", 7, 7, 3, (3, 3, 16, 16)),
    ]
    backbone = 8 * 3 * 8 * 8 + 8 + 2 * 8
    assert report.backbone_parameters == backbone
    assert report.parameters == backbone + 2 * (8 + 1)
    assert (report.total_steps, report.images_per_step, report.precision) == (12, 7, "fp32")
    assert all(task.loss >= 0 and task.seconds > 0 and task.peak_mib > 0 for task in report.tasks)


@pytest.mark.parametrize("formula", ["first.closenes", "first + third", "first.closeness.x"])
def test_formula_is_held_against_the_metrics_there_are(
    recipe_file: Path, new_plugins: NewPlugins, formula: str
) -> None:
    loaded = load_recipe(str(recipe_file), (), new_plugins())
    with pytest.raises(ConfigError, match="score: "):
        preflight(replace(loaded, typed=replace(loaded.typed, score=formula)))


def test_loss_that_is_not_finite_is_found(
    recipe_file: Path, new_plugins: NewPlugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nan_loss(self: BrightTask, output: Tensor, targets: Tensor) -> Losses:
        return Losses(output.sum() * torch.nan)

    monkeypatch.setattr(BrightTask, "loss", nan_loss)
    plugins = new_plugins()
    loaded = load_recipe(str(recipe_file), (), plugins)
    with pytest.raises(
        TrainingError, match=r"samples bright-\d+, .*the loss of task 'first' is nan on its first batch"
    ):
        preflight(loaded)


def test_first_call_is_not_what_a_step_takes(
    recipe_file: Path, new_plugins: NewPlugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, called = BrightTask.loss, []

    def slow_at_first(self: BrightTask, output: Tensor, targets: Tensor) -> Losses:
        if self.name not in called:
            called.append(self.name)
            time.sleep(1.0)
        return loss(self, output, targets)

    monkeypatch.setattr(BrightTask, "loss", slow_at_first)
    plugins = new_plugins()
    report = preflight(load_recipe(str(recipe_file), (), plugins))
    assert called == ["first", "second"]
    assert all(task.seconds < 0.9 for task in report.tasks)


def test_each_task_has_its_own_time_and_peak_on_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The peak is forgotten before the pass that is measured, and the device has done all before the clock is read."""
    loaded = load_recipe(str(write_trio(tmp_path)), ("train.precision=fp32",), Plugins.discover())
    told: list[str] = []
    with pretended_gpu() as gpu:
        for name in ("reset_peak_memory_stats", "synchronize", "max_memory_allocated"):
            monkeypatch.setattr(torch.cuda, name, lambda *given, name=name: told.append(name) or 2**20 * len(told))
        clock = time.perf_counter
        monkeypatch.setattr(time, "perf_counter", lambda: told.append("clock") or clock())
        report = preflight(loaded)
        assert gpu.waits
    measured = ["synchronize", "reset_peak_memory_stats", "clock", "synchronize", "clock", "max_memory_allocated"]
    assert [name for name in told if name in measured] == measured * 3
    assert report.device == "cuda"
    assert len({task.peak_mib for task in report.tasks}) == 3
