"""Predictions for images: views, decoding, restoring, merging."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from umbel.task import Task
from umbel.types import View

Forward = Callable[[Tensor, str], Any]


def predict(forward: Forward, task: Task[Any], images: Sequence[Tensor], fill: Sequence[float]) -> list[Any]:
    """Predict a few images of any sizes.

    Views are run one after another; images whose view has the same size share a forward. The outputs of a view are
    released once its predictions are decoded.

    Args:
        forward: raw output for (B, 3, H, W) pixel values and a task name; sets mode and precision itself.
        task: the task.
        images: (3, H, W) uint8 each, on the model's device.
        fill: padding colour of views, 3 values in 0..255.

    Returns:
        One merged prediction an image, in original coordinates.
    """
    sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
    views = [task.views(size) for size in sizes]
    restored: list[list[Any]] = [[] for _ in images]
    for position in range(max(map(len, views), default=0)):
        groups: dict[View, list[int]] = {}
        for index, of_image in enumerate(views):
            if position < len(of_image):
                groups.setdefault(of_image[position], []).append(index)
        for view, members in groups.items():
            batch = torch.stack([view.apply(images[index], fill) for index in members])
            for index, prediction in zip(members, task.decode(forward(batch, task.name), view), strict=True):
                restored[index].append(task.restore(prediction, view, sizes[index]))
    return [task.merge(predictions) for predictions in restored]
