"""Algorithm 1 against a plain PyTorch loop written for this test."""

from __future__ import annotations

import copy
import math
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from toys import BrightTask

from umbel.config.load import load_recipe
from umbel.contract.errors import TrainingError
from umbel.contract.types import Batch, Losses
from umbel.data.loader import CompositeLoader
from umbel.training.engine import Engine
from umbel.training.prepare import prepare
from umbel.training.run import Run

OVERRIDES = (
    "tasks.first.weight=0.3",
    "tasks.second.weight=1.7",
    "tasks.second.lr_scale=2",
    "backbone.options.dropout=0",
    "backbone.options.norm=false",  # else the convolution's bias has only rounding noise for a gradient
    "optim.clip_norm=0.05",
    "optim.weight_decay=0.1",
    "train.steps=20",
    "train.channels_last=false",
)


@pytest.fixture
def prepared(recipe_file: Any, new_plugins: Callable[[], Any], tmp_path: Any) -> Run:
    plugins = new_plugins()
    loaded = load_recipe(str(recipe_file), OVERRIDES, plugins)
    return prepare(loaded, tmp_path / "unused")


def composite_batches(run: Run, stop: int) -> list[dict[str, Batch]]:
    return list(CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=stop))


def plain_training(run: Run, batches: Iterable[dict[str, Batch]]) -> tuple[nn.Module, list[float]]:
    """The sum of the weighted losses, one backward, one clipped AdamW step; nothing of umbel but the layers."""
    model = copy.deepcopy(run.runtime.model)
    model.train()
    heads, backbone = model.heads, model.backbone
    optimizer = torch.optim.AdamW(
        [
            {"params": [*backbone.parameters(), *heads["first"].parameters()], "scale": 1.0},
            {"params": heads["second"].parameters(), "scale": 2.0},
        ],
        lr=0.0,
        weight_decay=0.1,
    )
    totals = []
    for step, composite in enumerate(batches):
        rate = 0.01 * step / 4
        if step >= 4:
            rate = 1e-8 + (0.01 - 1e-8) * 0.5 * (1 + math.cos(math.pi * (step - 4) / 20))
        for group in optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        total = torch.zeros(())
        for name, weight in (("first", 0.3), ("second", 1.7)):
            pixels = (composite[name].images / 255 - 0.5) / 0.25
            output = heads[name]((torch.relu(backbone.norm(backbone.conv(pixels))),))
            total = total + weight * F.mse_loss(output, composite[name].targets)
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        optimizer.step()
        totals.append(float(total.detach()))
    return model, totals


def test_twenty_steps_equal_a_plain_loop(prepared: Run) -> None:
    batches = composite_batches(prepared, 20)
    expected, expected_totals = plain_training(prepared, batches)
    untrained = copy.deepcopy(prepared.runtime.model.state_dict())
    totals: list[float] = []

    def record(step: int, losses: dict[str, Losses], lr: float) -> None:
        totals.append(0.3 * float(losses["first"].total) + 1.7 * float(losses["second"].total))

    Engine(prepared.runtime, prepared.tasks).fit(batches, record, seed=0, start=0)
    torch.testing.assert_close(totals, expected_totals, rtol=1e-5, atol=1e-6)
    moved = 0.0
    for name, value in prepared.runtime.model.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[name], rtol=0, atol=1e-6)
        moved += float((value.double() - untrained[name].double()).abs().sum())
    assert moved > 0.1


def test_gradients_of_both_tasks_arrive_in_the_backbone(prepared: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = prepared.runtime
    seen: list[Tensor] = []

    def keep_gradient() -> float:
        seen.append(runtime.model.backbone.conv.weight.grad.clone())
        runtime.model.zero_grad(set_to_none=True)
        return 0.0

    monkeypatch.setattr(runtime, "step", keep_gradient)
    (batch,) = composite_batches(prepared, 1)
    weights = {"first": 0.3, "second": 1.7}
    Engine(runtime, prepared.tasks).train_step(batch, weights)
    for name in weights:
        Engine(runtime, prepared.tasks).train_step({name: batch[name]}, weights)
    both, first, second = seen
    assert float(first.abs().sum()) > 0
    assert float(second.abs().sum()) > 0
    torch.testing.assert_close(both, first + second)


def test_loss_that_is_not_finite_names_task_and_samples_and_touches_no_weight(prepared: Run) -> None:
    runtime = prepared.runtime
    (batch,) = composite_batches(prepared, 1)
    bad = replace(batch["second"], targets=torch.full((3,), torch.nan))
    before = {name: value.clone() for name, value in runtime.model.named_parameters()}
    with pytest.raises(TrainingError) as caught:
        Engine(runtime, prepared.tasks).train_step({**batch, "second": bad}, {"first": 1.0, "second": 1.0})
    text = str(caught.value)
    assert "the loss of task 'second' is nan" in text
    assert "first" not in text
    for sample in batch["second"].ids:
        assert sample in text
    assert runtime.steps_done == 0
    for name, value in runtime.model.named_parameters():
        assert torch.equal(value, before[name])


class Marker:
    """Lives as long as the graph node that it hangs on."""


class RemembersOutput(BrightTask):
    """Keeps its whole graph alive through a part of the loss, as a careless plugin would."""

    graphs: list[weakref.ref[Marker]]

    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        branch = output.exp()
        branch.grad_fn.metadata["marker"] = marker = Marker()
        self.graphs.append(weakref.ref(marker))
        losses = super().loss(output, targets)
        return Losses(losses.total, {"branch": branch.sum()})


def test_graph_of_a_task_is_gone_when_the_next_begins(prepared: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, graphs = prepared.runtime, []
    tasks = {}
    for name, task in prepared.tasks.items():
        tasks[name] = RemembersOutput(name, task.config, task.options)
        tasks[name].graphs = graphs
    alive: list[int] = []
    forward = runtime.forward

    def counting(images: Tensor, name: str) -> Any:
        alive.append(sum(graph() is not None for graph in graphs))
        return forward(images, name)

    monkeypatch.setattr(runtime, "forward", counting)
    for batch in composite_batches(prepared, 2):
        Engine(runtime, tasks).train_step(batch, {"first": 1.0, "second": 1.0})
    assert len(graphs) == 4
    assert alive == [0, 0, 0, 0]


def test_losses_are_returned_detached_and_unweighted(prepared: Run) -> None:
    (batch,) = composite_batches(prepared, 1)
    losses = Engine(prepared.runtime, prepared.tasks).train_step(batch, {"first": 5.0, "second": 7.0})
    for task_losses in losses.values():
        assert not task_losses.total.requires_grad
        assert float(task_losses.total) == float(task_losses.parts["square"])
