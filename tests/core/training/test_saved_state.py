"""What is captured is put back to the bit, and what does not fit is listed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from toys import BrightOptions, BrightTask, TinyBackbone, TinyOptions

from umbel.checkpoint.read import open_checkpoint
from umbel.checkpoint.write import write_checkpoint
from umbel.config.schema import OptimConfig, TrainConfig
from umbel.contract.errors import CheckpointError
from umbel.contract.task_config import TaskConfig
from umbel.contract.types import FeatureSpec
from umbel.model.model import build_model
from umbel.model.weights import load_weights
from umbel.runtime.local import LocalRuntime
from umbel.runtime.optim import build_optimizer
from umbel.training.runtime_state import load_runtime_state_dict, runtime_state_dict


class ScaledHead(nn.Module):
    """With a parameter of no dimensions, whose optimizer state looks like AdamW's step count."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, 1)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        out: Tensor = self.scale * self.linear(features[-1].mean((2, 3)))
        return out[:, 0]


class ScaledTask(BrightTask):
    def head(self, features: FeatureSpec) -> nn.Module:
        return ScaledHead(features.channels[-1])


def make(ema: float = 0.9, seed: int = 0, width: int = 8) -> LocalRuntime:
    tasks = {"a": ScaledTask("a", TaskConfig("bright", 2, (16, 16)), BrightOptions())}
    torch.manual_seed(seed)
    model = build_model(TinyBackbone(TinyOptions(width=width)), tasks, seed).to(memory_format=torch.channels_last)
    config = OptimConfig(lr=0.1, warmup_steps=0)
    optimizer, train = build_optimizer(model, tasks, config), TrainConfig(ema_decay=ema)
    return LocalRuntime(model, optimizer, optim=config, train=train, precision="fp32", total_steps=20)


def step(runtime: LocalRuntime, number: int) -> None:
    torch.manual_seed(number)
    images = torch.randint(0, 255, (4, 3, 16, 16), dtype=torch.uint8)
    runtime.model.train()
    runtime.backward((runtime.forward(images, "a") - 1).square().mean())
    runtime.step()


def saved(runtime: LocalRuntime, root: Path) -> Path:
    tensors, state = runtime_state_dict(runtime)
    return write_checkpoint(root, runtime.steps_done, tensors, state)


def everything(runtime: LocalRuntime) -> dict[str, Tensor]:
    tensors, state = runtime_state_dict(runtime)
    flat = {f"{stem}/{name}": value for stem, named in tensors.items() for name, value in named.items()}
    return {**flat, "steps": torch.tensor(state["steps_done"]), "lr": torch.tensor(runtime.lr())}


def differing(left: LocalRuntime, right: LocalRuntime) -> list[str]:
    one, other = everything(left), everything(right)
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_restored_runtime_goes_on_to_the_bit(tmp_path: Path, ema: float) -> None:
    runtime = make(ema)
    for number in range(3):
        step(runtime, number)
    other = make(ema, seed=5)
    load_runtime_state_dict(other, open_checkpoint(saved(runtime, tmp_path)))
    assert differing(runtime, other) == []
    for mine, theirs in zip(runtime.model.parameters(), other.model.parameters(), strict=True):
        state, restored = runtime.optimizer.state[mine], other.optimizer.state[theirs]
        assert state.keys() == restored.keys()
        assert restored["exp_avg"].stride() == state["exp_avg"].stride()
        assert restored["step"].shape == ()
    for number in range(3, 8):
        step(runtime, number)
        step(other, number)
    assert differing(runtime, other) == []


@pytest.mark.parametrize("lost", ["optimizer", "average", "steps_done", "average_steps"])
def test_comparison_sees_what_is_lost(tmp_path: Path, lost: str) -> None:
    runtime, other = make(), make(seed=5)
    for number in range(3):
        step(runtime, number)
    load_runtime_state_dict(other, open_checkpoint(saved(runtime, tmp_path)))
    assert other.average is not None
    if lost == "optimizer":
        other.optimizer.state.clear()
    elif lost == "average":
        other.average.shadow["backbone.conv.weight"].zero_()
    elif lost == "steps_done":
        other.steps_done = 0
    else:
        other.average.steps = 0
    for number in range(3, 5):
        step(runtime, number)
        step(other, number)
    with pytest.raises(AssertionError):
        assert differing(runtime, other) == []


def test_captured_state_is_what_trainers_need_and_no_more() -> None:
    runtime = make(ema=0.0)
    step(runtime, 0)
    tensors, state = runtime_state_dict(runtime)
    assert set(tensors) == {"model", "optimizer"}
    assert state == {"steps_done": 1, "precision": "fp32"}
    assert "heads.a.scale/exp_avg" in tensors["optimizer"]
    assert len(tensors["optimizer"]) == 3 * len(list(runtime.model.parameters()))


def test_checkpoint_without_an_average_says_what_to_do(tmp_path: Path) -> None:
    runtime = make(ema=0.0)
    step(runtime, 0)
    with pytest.raises(CheckpointError, match=r"has no EMA weights \(set train\.ema_decay=0\)"):
        load_runtime_state_dict(make(), open_checkpoint(saved(runtime, tmp_path)))


def test_weights_that_do_not_fit_are_listed_and_nothing_is_loaded() -> None:
    model = make().model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = {name: value + 1 for name, value in make(width=16).model.state_dict().items()}
    del tensors["heads.a.scale"]
    tensors["heads.b.extra"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, tensors, "step-00000001")
    text = str(caught.value)
    assert text.startswith("step-00000001: does not fit this recipe's model")
    assert "1 missing: heads.a.scale" in text
    assert "1 not in this model: heads.b.extra" in text
    assert "backbone.conv.weight (16, 3, 8, 8) instead of (8, 3, 8, 8)" in text
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
