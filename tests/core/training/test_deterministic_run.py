"""`train.deterministic` on a pretended GPU: three tasks train, evaluate and resume; a missing kernel is named.

No kernel of a GPU has run here: what is seen is which operators are asked for, and that torch's mode is on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from trio_data import write_trio

from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError
from umbel.registry.plugins import Plugins
from umbel.tasks.classification.task import Classification
from umbel.tasks.segmentation.model import upernet
from umbel.testing.gpu import pretended_gpu
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train
from umbel.workflows.check.preflight import preflight

REFUSED = (
    r"^train.deterministic: task '{task}' uses {operator}, which has no kernel on this device that repeats to the bit "
    r"\(set it to false, or use another operator in the task or backbone\)$"
)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_trio(tmp_path)


@pytest.fixture(autouse=True)
def on_a_gpu() -> Iterator[None]:
    with pretended_gpu():
        yield
    assert not torch.are_deterministic_algorithms_enabled()


def load(recipe: Path, *overrides: str) -> Any:
    return load_recipe(str(recipe), ("train.deterministic=true", *overrides), Plugins.discover())


def ran(recipe: Path, out: str, *overrides: str, resume: bool = False) -> Run:
    run = prepare(load(recipe, *overrides), recipe.parent / out, trial=not resume)
    train(run, resume=resume)
    return run


def weights(run: Run) -> list[Tensor]:
    return [value.cpu() for value in run.model.state_dict().values()]


@pytest.mark.parametrize("balancer", ["fixed", "gradient_norm"])
def test_three_tasks_train_evaluate_and_resume(recipe: Path, monkeypatch: pytest.MonkeyPatch, balancer: str) -> None:
    modes = []
    loss = Classification.loss

    def watched(self: Classification, *given: Any) -> Any:
        modes.append(torch.are_deterministic_algorithms_enabled())
        return loss(self, *given)

    monkeypatch.setattr(Classification, "loss", watched)
    settings = ("train.steps=2", "train.save_every=1", f"train.balancer.name={balancer}", "train.ema_decay=0.9")
    whole, other = ran(recipe, "whole", *settings), ran(recipe, "other", *settings)
    assert len(modes) == 2 * (1 + 2)  # the trial, two steps
    assert all(modes)
    assert all(torch.equal(one, two) for one, two in zip(weights(whole), weights(other), strict=True))
    assert "deterministic: true" in (whole.directory / "recipe.yaml").read_text()
    again = ran(recipe, "whole", *settings, resume=True)
    assert all(torch.equal(one, two) for one, two in zip(weights(whole), weights(again), strict=True))


def plain_pooling(x: Tensor, cells: int) -> Tensor:
    return F.adaptive_avg_pool2d(x, cells)


def test_the_trial_names_task_operator_and_key(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upernet, "pool_to_grid", plain_pooling)
    refused = REFUSED.format(task="road", operator="adaptive_avg_pool2d_backward_cuda")
    with pytest.raises(ConfigError, match=refused):
        ran(recipe, "run", "train.steps=1")
    with pytest.raises(ConfigError, match=refused):
        preflight(load(recipe))
    assert not (recipe.parent / "run").exists()


def test_so_do_a_step_and_an_evaluation(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = prepare(load(recipe, "train.steps=1"), recipe.parent / "step", trial=False)
    monkeypatch.setattr(upernet, "pool_to_grid", plain_pooling)
    with pytest.raises(ConfigError, match=REFUSED.format(task="road", operator="adaptive_avg_pool2d_backward_cuda")):
        train(run)
    monkeypatch.undo()
    decode: Callable[..., Any] = Classification.decode

    def counting(self: Classification, output: Tensor, view: Any) -> Any:
        torch.histc(output.float(), 4)
        return decode(self, output, view)

    run = prepare(load(recipe, "train.steps=1"), recipe.parent / "evaluation", trial=False)
    monkeypatch.setattr(Classification, "decode", counting)
    with pytest.raises(ConfigError, match=REFUSED.format(task="vehicles", operator="_histc_cuda")):
        train(run)


def test_cublas_that_was_used_too_early(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: Classification, *given: Any) -> Any:
        raise RuntimeError("Deterministic behavior was enabled with ..., set CUBLAS_WORKSPACE_CONFIG=:4096:8")

    monkeypatch.setattr(Classification, "loss", refused)
    with pytest.raises(ConfigError, match=r"^train.deterministic: this process has multiplied .*environment\)$"):
        ran(recipe, "run", "train.steps=1")
