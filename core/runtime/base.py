"""What the engine asks of a runtime."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

import torch
from torch import Tensor

from umbel.model import MultiTaskModel
from umbel.types import Batch


class Runtime(Protocol):
    """Steps a model: forward and backward any number of times, then one optimizer step."""

    model: MultiTaskModel
    device: torch.device
    rank: int
    world_size: int

    def place(self, batch: Batch) -> Batch:
        """The batch on this runtime's device."""

    def forward(self, images: Tensor, task: str) -> Any:
        """Raw output of a task's head for (B, 3, H, W) uint8 images, in the runtime's precision."""

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those of this step."""

    def gradients_finite(self) -> Tensor:
        """Whether the gradients that `step` would apply are all finite: a 0-dimensional bool on the device."""

    def clear(self) -> None:
        """Forget the gradients of this step."""

    def skip(self) -> None:
        """Pass over this step: the schedule goes on, the weights stay."""

    def step(self) -> Tensor:
        """Apply the accumulated gradients; returns their global norm before clipping, a 0-dimensional tensor."""

    def agree(self, flags: Tensor) -> Tensor:
        """Elementwise maximum of a small CPU tensor over all ranks, the same on each; every rank must call it."""

    def lr(self) -> float:
        """Learning rate of the next step, before group factors."""

    def evaluating(self) -> AbstractContextManager[None]:
        """Inside the block the model is in eval mode, without gradients, with the weights that are to be judged."""
