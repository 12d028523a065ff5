"""A model that predicts: its forward pass in the right mode and precision, and nothing that could change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from umbel.contract.types import Batch
from umbel.model.model import MultiTaskModel
from umbel.runtime.move import move_batch
from umbel.runtime.precision import autocast


class InferenceModel:
    """A model on one device, without optimizer or EMA weights.

    Args:
        model: the model, already on its device, with the weights to judge.
        precision: "fp32" or "bf16" (autocast), in which the model is trained; see `autocast` of evaluation mode.
        channels_last: the memory format of batches that are placed.
    """

    rank = 0
    world_size = 1

    def __init__(self, model: MultiTaskModel, precision: str, *, channels_last: bool = False) -> None:
        self.model = model
        self.run: Callable[[Tensor, str], Any] = model  # what `forward` runs
        self.precision = precision
        self.device = next(model.parameters()).device
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format

    def to_device(self, batch: Batch) -> Batch:
        """The batch on the model's device."""
        return move_batch(batch, self.device, self.memory_format)

    def forward(self, images: Tensor, task: str) -> Any:
        """Raw output of a task's head for (B, 3, H, W) pixel values."""
        with self._autocast():
            return self.run(images, task)

    def features(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        """The backbone's part of `forward`."""
        with self._autocast():
            return self.model.features(images, task)

    def head(self, features: tuple[Tensor, ...], task: str) -> Any:
        """The head's part of `forward`."""
        with self._autocast():
            return self.model.heads[task](features)

    def _autocast(self) -> torch.autocast:
        return autocast(self.device, self.precision, training=self.model.training)

    @contextmanager
    def eval_mode(self) -> Iterator[None]:
        """Inside the block the model is in eval mode, without gradients."""
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.model.train(training)

    def all_gather_tensors(self, values: Tensor) -> list[Tensor]:
        """What every rank gave: here there is one."""
        return [values]
