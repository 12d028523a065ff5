"""The plain runtime: clipping, refusing, averaging, precision, modes."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toys import BrightOptions, BrightTask, TinyBackbone, TinyOptions

from umbel.config.schema import OptimConfig, TrainConfig
from umbel.contract.task_config import TaskConfig
from umbel.contract.types import Batch
from umbel.model.model import build_model
from umbel.runtime.local import LocalRuntime
from umbel.runtime.move import move_batch
from umbel.runtime.optim import build_optimizer


def make(clip: float | None = 1.0, ema: float = 0.0, precision: str = "fp32", lr: float = 0.1) -> LocalRuntime:
    tasks = {"a": BrightTask("a", TaskConfig("bright", 2, (8, 8)), BrightOptions())}
    model = build_model(TinyBackbone(TinyOptions(dropout=0.5)), tasks, 0)
    config = OptimConfig(lr=lr, warmup_steps=0, clip_norm=clip)
    optimizer, train = build_optimizer(model, tasks, config), TrainConfig(ema_decay=ema)
    return LocalRuntime(model, optimizer, optim=config, train=train, precision=precision, total_steps=10)


@settings(max_examples=25, deadline=None)
@given(scale=st.floats(1e-3, 1e3), clip=st.floats(1e-3, 10))
def test_clipping_is_torchs(scale: float, clip: float) -> None:
    runtime, other = make(clip), make(clip)
    generator = torch.Generator().manual_seed(1)
    for mine, theirs in zip(runtime.model.parameters(), other.model.parameters(), strict=True):
        mine.grad = scale * torch.randn(mine.shape, generator=generator)
        theirs.grad = mine.grad.clone()
    clipped: list[Tensor] = []
    runtime.optimizer.register_step_pre_hook(
        lambda *_: clipped.extend(p.grad.clone() for p in runtime.model.parameters() if p.grad is not None)
    )
    norm = runtime.step()
    expected = torch.nn.utils.clip_grad_norm_(other.model.parameters(), clip)
    assert float(norm) == pytest.approx(float(expected), rel=1e-6)
    for mine, theirs in zip(clipped, other.model.parameters(), strict=True):
        assert torch.equal(mine, theirs.grad)


@pytest.mark.parametrize("bad", [torch.inf, -torch.inf, torch.nan])
def test_skipped_step_changes_nothing_but_the_schedule(bad: float) -> None:
    runtime = make(ema=0.9)
    before = {name: value.clone() for name, value in runtime.model.state_dict().items()}
    rate = runtime.lr()
    for parameter in runtime.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    assert runtime.gradients_finite()
    runtime.model.backbone.conv.weight.grad[0, 0, 0, 0] = bad
    assert not runtime.gradients_finite()
    runtime.skip_step()
    assert runtime.steps_done == 1
    assert runtime.lr() < rate
    assert all(parameter.grad is None for parameter in runtime.model.parameters())
    assert not runtime.optimizer.state
    for name, value in runtime.model.state_dict().items():
        assert torch.equal(value, before[name])
    assert runtime.average is not None
    assert runtime.average.steps == 0


def test_alone_a_rank_agrees_with_itself() -> None:
    flags = torch.tensor([0.0, 1.0])
    assert torch.equal(make().all_reduce_max(flags), torch.tensor([0.0, 1.0]))


def test_evaluating_judges_the_average_and_restores_mode_and_weights() -> None:
    runtime = make(ema=0.5)
    images = torch.zeros((2, 3, 8, 8), dtype=torch.uint8)
    runtime.model.train()
    for _ in range(3):
        runtime.backward(runtime.forward(images, "a").square().sum())
        runtime.step()
    own = runtime.model.backbone.conv.weight.detach().clone()
    assert runtime.average is not None
    with runtime.eval_mode():
        assert not runtime.model.training
        assert not torch.is_grad_enabled()
        assert torch.equal(runtime.model.backbone.conv.weight, runtime.average.shadow["backbone.conv.weight"])
        assert not torch.equal(runtime.model.backbone.conv.weight, own)
        assert torch.equal(runtime.forward(images, "a"), runtime.forward(images, "a"))  # no dropout
    assert runtime.model.training
    assert torch.equal(runtime.model.backbone.conv.weight, own)


def test_first_step_uses_the_rate_that_lr_reports() -> None:
    runtime = make(lr=0.25)
    assert runtime.lr() == 0.25
    for parameter in runtime.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    runtime.step()
    assert {group["lr"] for group in runtime.optimizer.param_groups} == {0.25}
    assert runtime.lr() < 0.25


def test_bf16_computes_in_bf16_and_keeps_float32_weights() -> None:
    images = torch.randint(0, 255, (2, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    exact, rounded = make(), make(precision="bf16")
    rounded.model.load_state_dict(exact.model.state_dict())
    torch.manual_seed(0)  # of the dropout
    output = rounded.forward(images, "a")
    torch.manual_seed(0)
    expected = exact.forward(images, "a")
    assert (output.dtype, expected.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close(output.float(), expected, rtol=0.05, atol=0.05)
    assert {p.dtype for p in rounded.model.parameters()} == {torch.float32}


class Boxes(NamedTuple):
    corners: Tensor
    name: str


def test_targets_of_any_nesting_are_moved_and_keep_their_types() -> None:
    one = torch.ones(2)
    targets: dict[str, Any] = {"list": [one, "text"], "tuple": (one, 3), "named": Boxes(one, "car"), "none": None}
    batch = Batch(torch.zeros((1, 3, 4, 4), dtype=torch.uint8), targets, ("x",), ((4, 4),))
    moved = move_batch(batch, torch.device("meta"), torch.channels_last)
    assert moved.images.device.type == "meta"
    assert moved.images.is_contiguous(memory_format=torch.channels_last)
    assert moved.targets["list"][0].device.type == "meta"
    assert moved.targets["list"][1] == "text"
    assert moved.targets["tuple"][0].device.type == "meta"
    assert isinstance(moved.targets["named"], Boxes)
    assert moved.targets["named"].corners.device.type == "meta"
    assert moved.targets["none"] is None
    assert (moved.ids, moved.sizes) == (("x",), ((4, 4),))
