"""Forward and backward of the tasks of a composite batch, one after the other; those of a source share the backbone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from umbel.contract.task import Task
from umbel.contract.types import Batch, Losses
from umbel.io.step_shortage import of_step
from umbel.registry.calls.fault import of_backward, of_samples
from umbel.registry.calls.kernels import deterministic_task
from umbel.runtime.base import Runtime
from umbel.training.balancing import gradient_norm
from umbel.training.participation import DummyBatches, dummy_losses, unmoved
from umbel.training.shared_pass import SharedFeatures
from umbel.training.step_clock import StepClock


class Passes:
    """Forward and backward of the tasks of a composite batch.

    Args:
        runtime: holds the model.
        tasks: tasks by name.
        batches: by task; None where this rank has no data. Those of a source's tasks have the same images.
        factors: on each task's balanced loss: its weight, times its share of the ranks that have data.
        clock: takes the time of each part.
        dummy_batches: what runs where this rank has no data.

    Attributes:
        norms: of each task's gradient on the backbone, where the balancer measures it in this step.
    """

    def __init__(
        self,
        runtime: Runtime,
        tasks: Mapping[str, Task[Any]],
        batches: Mapping[str, Batch | None],
        *,
        factors: Mapping[str, float],
        clock: StepClock,
        dummy_batches: DummyBatches,
    ) -> None:
        self.runtime = runtime
        self.tasks = tasks
        self.batches = batches
        self.factors = factors
        self.clock = clock
        self.dummy_batches = dummy_batches
        self.norms: dict[str, Tensor] = {}
        every = runtime.model.balancer.gradient_every
        self._measure = bool(every) and runtime.steps_done % every == 0

    def of_all(self, *, last: bool) -> dict[str, Losses]:
        """The losses of every task, detached; the tasks of a source come together, where the first of them stands.

        Args:
            last: no other composite batch follows in this step.
        """
        groups: dict[str, list[str]] = {}
        for name in self.factors:
            groups.setdefault(self.tasks[name].config.source or f"task {name}", []).append(name)
        found: dict[str, Losses] = {}
        for number, names in enumerate(groups.values(), 1):
            ends = last and number == len(groups)
            if self.tasks[names[0]].config.source:
                found |= self._together(names, last=ends)
            else:
                found[names[0]] = self._alone(names[0], last=ends)
        return {name: found[name] for name in self.factors}

    def __call__(self, name: str) -> Losses:
        """The losses of a task, detached; nothing of its graph is left."""
        together = self.tasks[name].config.source is not None
        return self._together([name], last=False)[name] if together else self._alone(name, last=False)

    def _alone(self, name: str, *, last: bool) -> Losses:
        task, batch = self.tasks[name], self.batches[name]
        with deterministic_task(name):
            with self._part(name, "forward"):
                if batch is None:
                    losses = self.dummy_batches.losses(self.runtime, task)
                else:
                    placed = self.runtime.to_device(batch)
                    with of_samples(batch.ids):
                        losses = task.loss(self.runtime.forward(placed.images, name), placed.targets)
                    self.dummy_batches.remember(name, batch)
            self.clock.charge("forward", name)
            return self._backward(name, losses, last=last)

    def _together(self, names: list[str], *, last: bool) -> dict[str, Losses]:
        """The backbone forward, each head forward and backward, the backbone backward from what the heads gave."""
        given = next((batch for name in names if (batch := self.batches[name]) is not None), None)
        with unmoved(self.runtime.model) if given is None else nullcontext():
            with self._part(names[0], "forward"):
                size = self.tasks[names[0]].config.input_size
                images = (
                    torch.zeros((2, 3, *size), dtype=torch.uint8, device=self.runtime.device)
                    if given is None
                    else self.runtime.to_device(given).images
                )
                features = SharedFeatures(self.runtime.features(images, names[0]))
            self.clock.charge("forward", names[0])
            of_heads = last and not features.reach_back
            found = {name: self._head(name, features, last=of_heads and name == names[-1]) for name in names}
            carried = features.carried()
            if carried is not None:
                with self._part(names[-1], "backward"), deterministic_task(names[-1]):
                    self.runtime.backward(carried, last=last)
                self.clock.charge("backward", names[-1])
        return found

    def _head(self, name: str, features: SharedFeatures, *, last: bool) -> Losses:
        task, batch = self.tasks[name], self.batches[name]
        with deterministic_task(name):
            with self._part(name, "forward"):
                if batch is None:
                    losses = dummy_losses(self.runtime, features.dummy(), name)
                else:
                    placed = self.runtime.to_device(batch)
                    with of_samples(batch.ids):
                        losses = task.loss(self.runtime.head(features.rows(placed.rows), name), placed.targets)
            self.clock.charge("forward", name)
            return self._backward(name, losses, features, last=last)

    def _backward(self, name: str, losses: Losses, features: SharedFeatures | None = None, *, last: bool) -> Losses:
        balancer, backbone = self.runtime.model.balancer, self.runtime.model.backbone
        with self._part(name, "backward"), self.runtime.whole(balancer):
            if self._measure:
                reached = losses.total if features is None else features.reached_by(losses.total)
                self.norms[name] = gradient_norm(reached, backbone)
            weighted = self.factors[name] * balancer.balanced(name, losses.total)
            with of_backward(self.tasks[name]):
                self.runtime.backward(weighted, last=last)
        self.clock.charge("backward", name)
        return Losses(losses.total.detach(), {part: value.detach() for part, value in losses.parts.items()})

    def _part(self, name: str, part: str) -> Any:
        config = self.tasks[name].config
        return of_step(name, config.batch_size, config.input_size, part)
