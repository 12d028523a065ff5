"""Balancers inside Algorithm 1: against a plain loop, resumed to the bit, and from a plugin."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from toys import ToyPlugin

from umbel import Balancer, balancing, hookimpl, option
from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError, PluginError
from umbel.data.loader import CompositeLoader
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.balancing import gradient_norm
from umbel.training.engine import Engine
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train

PLAIN = (
    "tasks.first.weight=0.3",
    "tasks.second.weight=1.7",
    "backbone.options.dropout=0",
    "backbone.options.norm=false",
    "optim.clip_norm=null",
    "optim.weight_decay=0.1",
    "optim.schedule=constant",
    "optim.warmup_steps=0",
    "train.steps=12",
    "train.channels_last=false",
)
WEIGHTS = {"first": 0.3, "second": 1.7}


@dataclass
class DoublingOptions:
    times: float = option(2.0, "factor on the first task")


class DoublingBalancer(Balancer):
    Options = DoublingOptions

    def factor(self, task: str) -> float:
        return self.options.times if task == "first" else 1.0  # type: ignore[attr-defined]


class DoublingPlugin:
    @hookimpl
    def umbel_balancers(self) -> dict[str, type[Balancer]]:
        return {"doubling": DoublingBalancer}


@pytest.fixture
def open_run(recipe_file: Path, tmp_path: Path) -> Callable[..., Run]:
    def go(*overrides: str, out: str = "unused") -> Run:
        plugins = Plugins()
        plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
        plugins.register(balancing, Plugin("umbel", "0", "balancers"))
        plugins.register(DoublingPlugin(), Plugin("umbel-doubling", "1.0", "main"))
        loaded = load_recipe(str(recipe_file), overrides, plugins)
        return prepare(loaded, tmp_path / out)

    return go


Weigh = Callable[[str, Tensor], Tensor]


def plain_training(run: Run, weigh: Weigh, learnt: dict[str, nn.Parameter], after: Callable[..., None]) -> nn.Module:
    """All losses summed, one backward, one AdamW step; the balancing is that of the caller."""
    model = copy.deepcopy(run.runtime.model)
    model.train()
    groups: list[dict[str, Any]] = [
        {"params": [*model.backbone.parameters(), *model.heads.parameters()], "weight_decay": 0.1}
    ]
    if learnt:
        groups.append({"params": list(learnt.values()), "lr": 0.1, "weight_decay": 0.0})
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    for step, composite in enumerate(CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=12)):
        losses, total = {}, torch.zeros(())
        for name, batch in composite.items():
            pixels = (batch.images / 255 - 0.5) / 0.25
            output = model.heads[name]((torch.relu(model.backbone.conv(pixels)),))
            losses[name] = F.mse_loss(output, batch.targets)
            total = total + WEIGHTS[name] * weigh(name, losses[name])
        after(step, losses, list(model.backbone.parameters()))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return model


def assert_trains_like(run: Run, expected: nn.Module) -> None:
    untrained = copy.deepcopy(run.runtime.model.state_dict())
    batches = CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=12)
    Engine(run.runtime, run.tasks).fit(batches, lambda step, losses, lr: False, seed=0, start=0)
    moved = 0.0
    for name, value in expected.state_dict().items():
        if not name.startswith("balancer."):
            torch.testing.assert_close(run.runtime.model.state_dict()[name], value, rtol=0, atol=2e-6)
            moved += float((value - untrained[name]).abs().sum())
    assert moved > 0.1


class Inverse:
    """Factors from what was seen so far, as plain numbers."""

    def __init__(self, decay: float) -> None:
        self.decay, self.means, self.count = decay, dict[str, float](), 0

    def weigh(self, name: str, loss: Tensor) -> Tensor:
        if not self.means:
            return loss
        return loss * (len(self.means) / self.means[name] / sum(1 / mean for mean in self.means.values()))

    def see(self, values: dict[str, float]) -> None:
        past = min(self.decay, self.count / (self.count + 1))
        self.means = {name: past * self.means.get(name, 0.0) + (1 - past) * value for name, value in values.items()}
        self.count += 1


def test_loss_scale_trains_as_written_out(open_run: Callable[..., Run]) -> None:
    run = open_run(*PLAIN, "train.balancer.name=loss_scale", "train.balancer.options.decay=0.6")
    inverse = Inverse(0.6)

    def after(step: int, losses: dict[str, Tensor], backbone: list[Tensor]) -> None:
        inverse.see({name: float(loss.detach()) for name, loss in losses.items()})

    assert_trains_like(run, plain_training(run, inverse.weigh, {}, after))
    assert run.runtime.model.balancer.factor("first") == pytest.approx(
        2 / inverse.means["first"] / sum(1 / mean for mean in inverse.means.values()), rel=1e-3
    )


def test_gradient_norm_trains_as_written_out(open_run: Callable[..., Run]) -> None:
    run = open_run(*PLAIN, "train.balancer.name=gradient_norm", "train.balancer.options.every=3")
    inverse = Inverse(0.5)

    def after(step: int, losses: dict[str, Tensor], backbone: list[Tensor]) -> None:
        if step % 3 == 0:
            norms = {}
            for name, loss in losses.items():
                gradients = torch.autograd.grad(loss, backbone, retain_graph=True)
                norms[name] = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
            inverse.see(norms)

    assert_trains_like(run, plain_training(run, inverse.weigh, {}, after))


def test_uncertainty_trains_as_written_out(open_run: Callable[..., Run]) -> None:
    run = open_run(*PLAIN, "train.balancer.name=uncertainty")
    learnt = {name: nn.Parameter(torch.zeros(1)) for name in WEIGHTS}

    def weigh(name: str, loss: Tensor) -> Tensor:
        return (torch.exp(-learnt[name]) * loss + learnt[name]).sum()

    assert_trains_like(run, plain_training(run, weigh, learnt, lambda *_: None))
    for name, parameter in learnt.items():
        value = run.runtime.model.balancer.get_parameter(f"log_variance_{name}")
        torch.testing.assert_close(value, parameter, rtol=0, atol=1e-5)
        assert abs(float(value.detach())) > 0.1


def test_measuring_leaves_gradients_alone(open_run: Callable[..., Run]) -> None:
    run = open_run(*PLAIN)
    (batch,) = CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=1)
    placed = run.runtime.to_device(batch["first"])
    loss = run.tasks["first"].loss(run.runtime.forward(placed.images, "first"), placed.targets).total
    norm = gradient_norm(loss, run.runtime.model.backbone)
    assert all(parameter.grad is None for parameter in run.runtime.model.parameters())
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in run.runtime.model.backbone.parameters()]).norm()
    torch.testing.assert_close(norm, expected)


@pytest.mark.parametrize("name", ["loss_scale", "gradient_norm", "uncertainty"])
def test_stopped_and_resumed_run_is_bit_equal(open_run: Callable[..., Run], tmp_path: Path, name: str) -> None:
    settings = (f"train.balancer.name={name}", "train.save_every=1", "tasks.second.every=2", "train.ema_decay=0.5")
    if name == "gradient_norm":
        settings += ("train.balancer.options.every=4",)

    class StopError(Exception):
        pass

    class Stop:
        @hookimpl
        def umbel_step_finished(self, step: int) -> None:
            if step == 7:
                raise StopError

    whole = open_run(*settings, out="whole")
    train(whole)
    broken = open_run(*settings, out="broken")
    broken.plugins.register(Stop(), Plugin("umbel", "0", "stop"))
    with pytest.raises(StopError):
        train(broken)
    resumed = open_run(*settings, out="broken")
    train(resumed, resume=True)
    state, other = whole.runtime.model.state_dict(), resumed.runtime.model.state_dict()
    assert any(key.startswith("balancer.") for key in state)
    assert all(torch.equal(value, other[key]) for key, value in state.items())
    with torch.no_grad():
        factors = [float(run.runtime.model.balancer.factor("first")) for run in (whole, resumed)]
    assert factors[0] == factors[1] != 1.0


def test_balancer_of_a_plugin_is_used(open_run: Callable[..., Run]) -> None:
    seen: dict[str, Tensor] = {}
    for times in (1.0, 5.0):
        run = open_run(*PLAIN, "train.balancer.name=doubling", f"train.balancer.options.times={times}")
        (batch,) = CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=1)
        run.runtime.step = lambda: 0.0  # type: ignore[method-assign]
        Engine(run.runtime, run.tasks).train_step(batch, WEIGHTS)
        for name in ("first", "second"):
            seen[f"{name} {times}"] = run.runtime.model.heads[name].linear.weight.grad.clone()
    torch.testing.assert_close(seen["first 5.0"], 5 * seen["first 1.0"])
    torch.testing.assert_close(seen["second 5.0"], seen["second 1.0"])


def test_wrong_name_or_option_is_named(open_run: Callable[..., Run]) -> None:
    with pytest.raises(
        PluginError, match=r"train\.balancer\.name: unknown balancer 'uncertain'.*did you mean 'uncertainty'"
    ):
        open_run("train.balancer.name=uncertain")
    with pytest.raises(ConfigError, match=r"train\.balancer\.options\.dcay.*Did you mean: 'decay'"):
        open_run("train.balancer.name=loss_scale", "train.balancer.options.dcay=0.5")
    with pytest.raises(ConfigError, match=r"train\.balancer.*decay is 2"):
        open_run("train.balancer.name=loss_scale", "train.balancer.options.decay=2")


def test_frozen_backbone_has_no_gradients_to_measure(open_run: Callable[..., Run]) -> None:
    run = open_run("train.balancer.name=gradient_norm")
    run.runtime.model.backbone.requires_grad_(False)
    (batch,) = CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=1)
    with pytest.raises(ConfigError, match="no part of the backbone is trained"):
        Engine(run.runtime, run.tasks).train_step(batch, WEIGHTS)
