"""One forward and backward of each task on tensors without data: what its activations need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_leaves, tree_map

from umbel.config.schema import Recipe
from umbel.contract.errors import ConfigError, DataError, UmbelError
from umbel.contract.task import Task
from umbel.data.datasets import load_datasets
from umbel.data.loader import CompositeLoader
from umbel.model.flops import flop_counter
from umbel.model.model import MultiTaskModel
from umbel.runtime.empty import empty_images, without_data
from umbel.runtime.live_bytes import LiveBytes

LOSS_FACTOR = 3  # times the raw output in fp32: what a loss is taken to need where there are no labels to run it on


@dataclass(frozen=True)
class TaskActivations:
    """Peak bytes of a task's activations as a line in the batch size: `fixed` plus `per_image` an image.

    The operations of its loss on a batch are counted on the way, forward and backward; 0 where it was not measured.
    """

    task: str
    batch_size: int
    image_shape: tuple[int, int]
    fixed: float
    per_image: float
    loss_measured: bool
    loss_flops: tuple[int, int]

    def peak(self, batch_size: int) -> int:
        return round(self.fixed + self.per_image * batch_size)


def probe_activations(
    recipe: Recipe, tasks: Mapping[str, Task[Any]], model: MultiTaskModel, fake: FakeTensorMode, bf16: bool
) -> list[TaskActivations]:
    """Peak activation bytes of every task, its loss included.

    Backbone and head run at the task's batch size and at twice that, which gives the line. The loss runs on the labels
    of the task's first training batch and random outputs; where there is no data it is taken as LOSS_FACTOR outputs.
    """
    probes = []
    for name, task in tasks.items():
        count = task.config.batch_size
        kept, peak, outputs = _pass(recipe, task, model, fake=fake, bf16=bf16, count=count)
        kept_twice, peak_twice, _ = _pass(recipe, task, model, fake=fake, bf16=bf16, count=2 * count)
        loss = _measured_loss(recipe, task, outputs)
        needed = LOSS_FACTOR * sum(4 * leaf.numel() for leaf in _floats(outputs)) if loss is None else loss.peak
        low, high = max(peak, kept + needed), max(peak_twice, kept_twice + 2 * needed)
        slope = (high - low) / count
        size = (task.config.input_size[0], task.config.input_size[1])
        probes.append(
            TaskActivations(
                task=name,
                batch_size=count,
                image_shape=size,
                fixed=low - slope * count,
                per_image=slope,
                loss_measured=loss is not None,
                loss_flops=(loss.forward, loss.backward) if loss is not None else (0, 0),
            )
        )
    return probes


def _pass(
    recipe: Recipe, task: Task[Any], model: MultiTaskModel, *, fake: FakeTensorMode, bf16: bool, count: int
) -> tuple[int, int, Any]:
    """Bytes kept after the forward, peak of forward and backward, and the raw output."""
    known = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters() if p.grad is not None)]
    try:
        with fake, LiveBytes(known) as live:
            images = empty_images(recipe, task, count)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                outputs = model(images, task.name)
            kept = live.now
            leaves = [leaf for leaf in _floats(outputs) if leaf.requires_grad]
            torch.autograd.backward(leaves, [torch.empty_like(leaf) for leaf in leaves])
    except UmbelError:
        raise
    except Exception as error:  # a head may do what only works on data
        raise without_data(task.name, error) from None
    return kept, live.peak, tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) else leaf, outputs)


@dataclass(frozen=True)
class _Loss:
    """Peak bytes of a loss and its backward, and the operations of each."""

    peak: int
    forward: int
    backward: int


def _measured_loss(recipe: Recipe, task: Task[Any], outputs: Any) -> _Loss | None:
    """The task's loss and its backward on real labels; None where its data cannot be read."""
    try:
        loader = CompositeLoader(
            {task.name: task}, load_datasets({task.name: task}, "train"), seed=recipe.train.seed, start=0, stop=1
        )
        batch = next(iter(loader))[task.name]
    except (DataError, ConfigError, OSError):
        return None
    assert batch is not None  # the task is alone, with images of its own
    real = tree_map(_random_like, outputs)
    known = [leaf for leaf in tree_leaves((real, batch.targets)) if isinstance(leaf, Tensor)]
    with flop_counter() as counter, LiveBytes(known) as live:
        total = task.loss(real, batch.targets).total
        forward = counter.get_total_flops()
        if total.requires_grad:
            total.backward()  # type: ignore[no-untyped-call]
    return _Loss(int(live.peak), forward, counter.get_total_flops() - forward)


def _random_like(leaf: Any) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    return torch.randn(leaf.shape, dtype=torch.float32).to(leaf.dtype).requires_grad_(leaf.is_floating_point())


def _floats(outputs: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor) and leaf.is_floating_point()]
