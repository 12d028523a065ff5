"""Predictions for images: views, decoding, restoring, merging."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from umbel.contract.task import Task
from umbel.contract.types import Size, View
from umbel.registry.calls.task_rules import expect_as_many

Forward = Callable[[Tensor, str], Any]


def image_tensor(image: np.ndarray, device: torch.device) -> Tensor:
    """(3, H, W) uint8 on a device, from (H, W, 3) uint8; a copy, for arrays may be read-only or mirrored views."""
    return torch.from_numpy(np.array(image, order="C")).to(device).permute(2, 0, 1)


def batch_of(shown: Sequence[Tensor]) -> Tensor:
    """(B, 3, H, W) from images of one size, (3, H, W) each; of a single image no copy."""
    return shown[0][None] if len(shown) == 1 else torch.stack(list(shown))


def predict(forward: Forward, task: Task[Any], images: Sequence[Tensor], fill: Sequence[float]) -> list[Any]:
    """Predict a few images of any sizes.

    Images of one view each share a forward where their views are equal. The views of test-time augmentation are run one
    at a time, when `merge` asks for the next, so that a task which folds them as they come holds one at a time.

    Args:
        forward: raw output for (B, 3, H, W) pixel values and a task name; sets mode and precision itself.
        task: the task.
        images: (3, H, W) uint8 each, on the model's device.
        fill: padding colour of views, 3 values in 0..255.

    Returns:
        One merged prediction an image, in original coordinates.
    """
    views = [task.views(_size(image)) for image in images]
    if all(len(of_image) == 1 for of_image in views):
        return _predict_together(forward, task, images, [of_image[0] for of_image in views], fill)
    return [
        task.merge(_restored(forward, task, image, of_image, fill))
        for image, of_image in zip(images, views, strict=True)
    ]


def _restored(
    forward: Forward, task: Task[Any], image: Tensor, views: Sequence[View], fill: Sequence[float]
) -> Iterator[Any]:
    """Predictions of one image in original coordinates, each view run when it is asked for."""
    for view in views:
        decoded = task.decode(forward(view.apply(image, fill)[None], task.name), view)
        (prediction,) = expect_as_many(task, decoded, 1)
        yield task.restore(prediction, view, _size(image))


def _predict_together(
    forward: Forward, task: Task[Any], images: Sequence[Tensor], views: Sequence[View], fill: Sequence[float]
) -> list[Any]:
    """One view an image; images whose views are equal share a forward."""
    merged: list[Any] = [None] * len(images)
    for view in dict.fromkeys(views):
        members = [index for index, of_image in enumerate(views) if of_image == view]
        batch = batch_of([view.apply(images[index], fill) for index in members])
        decoded = expect_as_many(task, task.decode(forward(batch, task.name), view), len(members))
        for index, prediction in zip(members, decoded, strict=True):
            merged[index] = task.merge([task.restore(prediction, view, _size(images[index]))])
    return merged


def _size(image: Tensor) -> Size:
    return (int(image.shape[-2]), int(image.shape[-1]))
