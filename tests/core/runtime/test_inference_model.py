"""A model that only predicts: in parts as in one, in its precision, and left as it was."""

from __future__ import annotations

import contextlib

import pytest
import torch
from toys import BrightOptions, BrightTask, TinyBackbone, TinyOptions

from umbel.config.schema import OptimConfig, TrainConfig
from umbel.contract.task_config import TaskConfig
from umbel.model.model import MultiTaskModel, build_model
from umbel.runtime.inference_model import InferenceModel
from umbel.runtime.local import LocalRuntime
from umbel.runtime.optim import build_optimizer

TASKS = {"a": BrightTask("a", TaskConfig("bright", 2, (8, 8)), BrightOptions())}
IMAGES = torch.arange(2 * 3 * 8 * 8, dtype=torch.uint8).view(2, 3, 8, 8)


def build() -> MultiTaskModel:
    return build_model(TinyBackbone(TinyOptions(dropout=0.5)), TASKS, 0)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_backbone_and_head_apart_are_the_forward_pass(precision: str) -> None:
    model = InferenceModel(build(), precision)
    with model.eval_mode():
        whole, features = model.forward(IMAGES, "a"), model.features(IMAGES, "a")
        assert torch.equal(whole, model.head(features, "a"))
    assert {level.dtype for level in features} == {torch.float32}  # a CPU predicts in fp32, however it has trained
    assert model.forward(IMAGES, "a").dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_says_what_the_runtime_that_trains_says(precision: str) -> None:
    model, optim, train = build(), OptimConfig(), TrainConfig()
    optimizer = build_optimizer(model, TASKS, optim)
    runtime = LocalRuntime(model, optimizer, optim=optim, train=train, precision=precision, total_steps=1)
    alone = InferenceModel(model, precision)
    with runtime.eval_mode():
        trained = runtime.forward(IMAGES, "a")
    with alone.eval_mode():
        assert torch.equal(alone.forward(IMAGES, "a"), trained)


@pytest.mark.parametrize("training", [True, False])
def test_evaluating_leaves_mode_and_gradients_as_they_were(training: bool) -> None:
    model = InferenceModel(build(), "fp32")
    model.model.train(training)
    with contextlib.suppress(KeyError), model.eval_mode():
        assert not model.model.training
        assert not torch.is_grad_enabled()
        raise KeyError
    assert model.model.training == training
    assert torch.is_grad_enabled()
