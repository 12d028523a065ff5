"""From images to predictions: views, network, decoding, restoring, merging. All that predicts goes this way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from umbel.contract.task import Task
from umbel.contract.types import Size, View, round_up
from umbel.data.nested import pinned
from umbel.registry.calls.task_rules import expect_as_many
from umbel.runtime.base import Inference

Outputs = Callable[[View, str], Any]  # raw output of a task's head for a view of all images of a batch
Views = Mapping[str, Sequence[View]]  # by task name
R = TypeVar("R", bound=Inference)


def image_tensor(image: np.ndarray, device: torch.device) -> Tensor:
    """(3, H, W) uint8 on a device, from (H, W, 3) uint8; a copy, for arrays may be read-only or mirrored views."""
    return host_tensor(image, device).to(device, non_blocking=True)


def host_tensor(image: np.ndarray, device: torch.device) -> Tensor:
    """(3, H, W) uint8 in the host's memory, a copy as well, which a GPU can read by itself if that is `device`."""
    copied = torch.from_numpy(np.array(image, order="C")).permute(2, 0, 1)
    return pinned(copied) if device.type == "cuda" and torch.accelerator.is_available() else copied


def size_of(image: Tensor) -> Size:
    """Height and width of (..., H, W)."""
    return (int(image.shape[-2]), int(image.shape[-1]))


def show(images: Sequence[Tensor], view: View, pad_color: Sequence[float]) -> Tensor:
    """(B, 3, H, W): a view of images of (3, H, W) each; of a single image no second copy."""
    shown = [view.apply(image, pad_color) for image in images]
    return shown[0][None] if len(shown) == 1 else torch.stack(shown)


def run_views(runtime: Inference, images: Sequence[Tensor], views: Views) -> Outputs:
    """Outputs without a cache: each view is run when it is asked for, and as often."""
    pad_color = runtime.model.pad_color
    return lambda view, task: runtime.forward(show(images, view, pad_color), task)


def predict(runtime: Inference, task: Task[Any], images: Sequence[Tensor]) -> list[Any]:
    """One merged prediction an image; see `predict_tasks`."""
    return [of_image[task.name] for of_image in predict_tasks(runtime, {task.name: task}, images, run_views)]


def predict_tasks(
    runtime: R,
    tasks: Mapping[str, Task[Any]],
    images: Sequence[Tensor],
    outputs: Callable[[R, Sequence[Tensor], Views], Outputs],
    size: Size | None = None,
) -> list[dict[str, Any]]:
    """Predict a few images of any sizes with some tasks; to be run inside `runtime.eval_mode()`.

    Images share a batch where every task has a single view of each and these are equal. The views of test-time
    augmentation are run one at a time, when `merge` asks for the next, so that a task which folds them as they come
    holds one at a time.

    Args:
        runtime: runs the model.
        tasks: tasks by name.
        images: (3, H, W) uint8 each, on the model's device.
        outputs: what runs the views of a batch: `run_views`, or `SharedFeatures` to run the backbone once for all tasks
            that look at an image the same way.
        size: one view of this height and width for all tasks, in place of their own views; it is rounded up to what the
            backbone's strides divide.

    Returns:
        Predictions by task name, in original coordinates, one dict an image.
    """
    forced = None if size is None else [View(round_up(size, max(runtime.model.backbone.spec.strides)))]
    views = [{name: forced or task.views(size_of(image)) for name, task in tasks.items()} for image in images]
    results: list[dict[str, Any]] = [{} for _ in images]
    for members in _batches(views):
        batch, of_batch = [images[index] for index in members], views[members[0]]
        run, sizes = outputs(runtime, batch, of_batch), [size_of(image) for image in batch]
        for name, task in tasks.items():
            merged = merge_views(task, of_batch[name], partial(restored, task, run, sizes), len(batch))
            for index, prediction in zip(members, merged, strict=True):
                results[index][name] = prediction
    return results


def restored(task: Task[Any], outputs: Outputs, sizes: Sequence[Size], view: View) -> Iterator[Any]:
    """Predictions of a view in original coordinates, one an image of the batch, each restored when it is asked for."""
    decoded = expect_as_many(task, task.decode(outputs(view, task.name), view), len(sizes))
    for prediction, size in zip(decoded, sizes, strict=True):
        yield task.restore(prediction, view, size)


def merge_views(
    task: Task[Any], views: Sequence[View], restore: Callable[[View], Iterator[Any]], images: int
) -> list[Any]:
    """Merged predictions of a batch of one view, or of a single image of any number of views.

    Args:
        task: the task.
        views: its views.
        restore: gives the restored predictions of a view, one an image.
        images: number of images.
    """
    if len(views) == 1:
        predictions = restore(views[0])
        return [task.merge([next(predictions)]) for _ in range(images)]
    return [task.merge(chain.from_iterable(map(restore, views)))]


def _batches(views: Sequence[Views]) -> list[list[int]]:
    """Numbers of the images of each batch."""
    if any(len(of_task) != 1 for of_image in views for of_task in of_image.values()):
        return [[index] for index in range(len(views))]
    batches: dict[tuple[View, ...], list[int]] = {}
    for index, of_image in enumerate(views):
        batches.setdefault(tuple(of_task[0] for of_task in of_image.values()), []).append(index)
    return list(batches.values())
