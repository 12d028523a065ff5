"""Choosing the precision leaves the model as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from toys import BrightOptions, BrightTask, TinyBackbone, TinyOptions

from umbel import precision
from umbel.config import TaskConfig
from umbel.model import build_model


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_stated_precision_is_taken(wanted: str) -> None:
    task = BrightTask("a", TaskConfig("bright", 2, (8, 8)), BrightOptions())
    model = build_model(TinyBackbone(TinyOptions()), {"a": task}, 0)
    assert precision.choose_precision(wanted, model, task, False) == wanted


@pytest.mark.parametrize(("bf16_seconds", "expected"), [(0.5, "bf16"), (0.86, "bf16"), (0.88, "fp32"), (1.5, "fp32")])
@pytest.mark.parametrize("frozen", [False, True])
def test_auto_follows_the_clock_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, bf16_seconds: float, expected: str, frozen: bool
) -> None:
    task = BrightTask("a", TaskConfig("bright", 2, (8, 8)), BrightOptions())
    model = build_model(TinyBackbone(TinyOptions()), {"a": task}, 0)
    model.backbone.requires_grad_(not frozen)
    before = copy.deepcopy(model.state_dict())
    seconds = iter([1.0] * 3 + [bf16_seconds] * 3)
    monkeypatch.setattr(precision, "_timed", lambda run: next(seconds))
    assert precision.choose_precision("auto", model, task, True) == expected
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
