"""What evaluating, predicting and training ask of what runs a model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from umbel.contract.types import Batch
from umbel.model.model import MultiTaskModel


class Average(Protocol):
    """An exponential moving average of the weights, of which each rank may hold a part."""

    steps: int


class Inference(Protocol):
    """Runs a model, of which every rank has one, without changing it."""

    model: MultiTaskModel
    device: torch.device
    precision: str
    rank: int
    world_size: int

    def forward(self, images: Tensor, task: str) -> Any:
        """Raw output of a task's head for (B, 3, H, W) uint8 images, in the runtime's precision."""

    def eval_mode(self) -> AbstractContextManager[None]:
        """Inside the block the model is in eval mode, without gradients, with the weights that are to be judged."""

    def all_gather_tensors(self, values: Tensor) -> list[Tensor]:
        """What every rank gave, by rank: 1-dimensional CPU tensors of one type, each of its own length; every rank
        must call it."""


class SplitInference(Inference, Protocol):
    """Runs backbone and heads apart too, so that tasks can share a pass of the backbone."""

    def features(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        """Levels of (B, 3, H, W) pixel values, for a task."""

    def head(self, features: tuple[Tensor, ...], task: str) -> Any:
        """Raw output of a task's head."""


class Runtime(SplitInference, Protocol):
    """Steps a model: forward and backward any number of times, then one optimizer step.

    A parameter that no task of a step used has a zero gradient: weight decay and momentum go on moving it.
    """

    steps_done: int

    @property
    def average(self) -> Average | None:
        """The EMA weights, if there are any."""

    def to_device(self, batch: Batch) -> Batch:
        """The batch on this runtime's device."""

    def begin_batch(self, *, even: bool) -> None:
        """Called before the forward passes of a composite batch; every rank must call it.

        Args:
            even: every rank has data for each of its tasks.
        """

    def backward(self, loss: Tensor, *, last: bool = False) -> None:
        """Add the gradients of a loss to those of this step.

        Args:
            loss: 0-dimensional.
            last: no other backward follows before `gradients_finite` and `step`; the same on all ranks.
        """

    def gradients_finite(self) -> Tensor:
        """Whether the gradients that `step` would apply are all finite: a 0-dimensional bool on the device."""

    def zero_grad(self) -> None:
        """Drop the gradients of this step."""

    def skip_step(self) -> None:
        """Skip this step: the schedule goes on, the weights stay."""

    def step(self) -> Tensor:
        """Apply the accumulated gradients; returns their global norm before clipping, a 0-dimensional tensor."""

    def all_reduce_max(self, flags: Tensor) -> Tensor:
        """Elementwise maximum of a small CPU tensor over all ranks, the same on each; every rank must call it."""

    def all_gather(self, values: list[int]) -> list[list[int]]:
        """What every rank gave, by rank; every rank must call it with as many numbers."""

    def lr(self) -> float:
        """Learning rate of the next step, before group factors."""

    def whole(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Inside the block a module's own parameters are whole here, as in `forward`, also for a backward pass; every
        rank must enter it."""

    def before_update(self, callback: Callable[[], object]) -> bool:
        """Have the next step call `callback` before it changes anything but weights and buffers.

        Returns:
            Whether `weights` and the like give the very tensors that training changes; else nothing is called.
        """

    def weights(self) -> dict[str, Tensor]:
        """The model's whole state by name; like those below, every rank must call it, and rank 0 gets the tensors."""

    def average_weights(self) -> dict[str, Tensor]:
        """The EMA weights, as `weights` gives the model's."""

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """The optimizer's whole state by "parameter/key"."""

    def rank_states(self) -> dict[str, Tensor]:
        """What each rank holds for itself, by its number, so that a run goes on to the bit; empty if there is no such
        thing."""

    def load_rank_states(self, states: dict[str, Tensor]) -> None:
        """Take over what this rank held, after all else; from another number of ranks nothing is taken."""

    def load_weights(self, tensors: dict[str, Tensor], where: str) -> None:
        """Take over whole weights; CheckpointError lists what does not fit."""

    def load_average(self, tensors: dict[str, Tensor], where: str) -> None:
        """Take over whole EMA weights; the model's own are undefined until `load_weights`."""

    def load_optimizer(self, tensors: dict[str, Tensor], where: str) -> None:
        """Take over an optimizer's whole state."""
