"""What the methods of a task must return; core looks no further into targets, outputs and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umbel.contract.types import Batch, Losses, Sample, View
from umbel.registry.calls.capability_rules import CAPABILITY
from umbel.registry.calls.checks import is_picture, module, sequence
from umbel.registry.calls.fault import describe
from umbel.registry.calls.guard import guard
from umbel.registry.calls.owner import owner_of
from umbel.registry.calls.rule import Rule

if TYPE_CHECKING:
    from umbel.contract.task import Task

Args = tuple[Any, ...]


def _dataset(task: Any, result: Any, arguments: Args) -> str:
    if not hasattr(type(result), "__getitem__") or not hasattr(type(result), "__len__"):
        return describe(result)
    len(result)
    return ""


def _stored(task: Any, result: Any, arguments: Args) -> str:
    if not isinstance(result, Sample):
        return describe(result)
    if not is_picture(result.image):
        return f"a Sample with an image that is {describe(result.image)}"
    if not isinstance(result.id, str):
        return f"a Sample with an id that is {describe(result.id)}"
    if len(result.size) != 2:
        return f"a Sample of size {result.size!r}"
    return ""


def _augmented(task: Any, result: Any, arguments: Args) -> str:
    if not isinstance(result, Sample) or not is_picture(result.image):
        return _stored(task, result, arguments)
    if result.image.shape[:2] != tuple(task.config.input_size):
        return f"a Sample with an image of {result.image.shape[:2]}, not {tuple(task.config.input_size)}"
    return _stored(task, result, arguments)


def _batch(task: Any, result: Any, arguments: Args) -> str:
    if not isinstance(result, Batch):
        return describe(result)
    count, shape = len(arguments[0]), tuple(getattr(result.images, "shape", ()))
    size = tuple(task.config.input_size)
    if shape != (count, 3, *size) or not str(result.images.dtype).endswith("uint8"):
        return f"a Batch with images that are {describe(result.images)}"
    if len(result.ids) != count or len(result.sizes) != count:
        return f"a Batch of {count} images with {len(result.ids)} ids and {len(result.sizes)} sizes"
    return ""


def _losses(task: Any, result: Any, arguments: Args) -> str:
    import torch

    if not isinstance(result, Losses):
        return describe(result)
    total = result.total
    if not isinstance(total, torch.Tensor) or total.ndim or not total.is_floating_point():
        return f"Losses with a total that is {describe(total)}"
    if not total.requires_grad and torch.is_grad_enabled() and _has_gradient(arguments[0]):
        return "Losses with a total that has no gradient: it was detached, or made without the output"
    if not isinstance(result.parts, Mapping):
        return f"Losses with parts that are {describe(result.parts)}"
    for name, part in result.parts.items():
        if not isinstance(part, torch.Tensor) or part.numel() != 1:
            return f"Losses with a part '{name}' that is {describe(part)}"
    return ""


def _has_gradient(output: Any) -> bool:
    if isinstance(output, Mapping):
        return any(map(_has_gradient, output.values()))
    if isinstance(output, (list, tuple)):
        return any(map(_has_gradient, output))
    return bool(getattr(output, "requires_grad", False))


def _as_many(task: Any, result: Any, arguments: Args) -> str:
    count = arguments[0]
    images = f"{count} image{'s' * (count != 1)}"
    return "" if len(result) == count else f"{len(result)} predictions for {images}"


def _metric(task: Any, result: Any, arguments: Args) -> str:
    absent = [name for name in ("update", "compute", "reset") if not callable(getattr(result, name, None))]
    return f"{describe(result)}, which has no {absent[0]}()" if absent else ""


def _scores(task: Any, result: Any, arguments: Args) -> str:
    if not isinstance(result, Mapping):
        return describe(result)
    for name, value in result.items():
        if not isinstance(name, str):
            return f"a score by the name {name!r}"
        if isinstance(value, str) or getattr(value, "numel", lambda: 1)() != 1 or not hasattr(value, "__float__"):
            return f"'{name}' as {describe(value)}"
    return ""


def _views(task: Any, result: Any, arguments: Args) -> str:
    listed = isinstance(result, Sequence) and len(result) > 0 and all(isinstance(view, View) for view in result)
    return "" if listed else describe(result)


def _guard_head(task: Any, head: Any) -> None:
    guard(head, owner_of(task), HEAD, "head().")


def _guard_metric(task: Any, metric: Any) -> None:
    guard(metric, owner_of(task), METRIC, "metric().")


HEAD = {"forward": Rule()}

SCORES = Rule("a dict of scalars by name", _scores)

METRIC = {"update": Rule("nothing; it takes lists of predictions and targets"), "compute": SCORES}

STORED = Rule("an umbel.Sample with an (H, W, 3) uint8 image, a str id, and a size (height, width)", _stored)

AUGMENTED = Rule("an umbel.Sample with an (H, W, 3) uint8 image of config.input_size", _augmented, catches=False)

AS_MANY = Rule("one prediction an image", _as_many)

TASK = {
    "dataset": Rule("a data set with __len__ and __getitem__", _dataset),
    "head": Rule("a torch.nn.Module", module, _guard_head, combination=True),
    "loss": Rule("umbel.Losses with a 0-dimensional floating total that has a gradient, and scalar parts", _losses),
    "decode": Rule("a list of one prediction an image", sequence),
    "metric": Rule("a torchmetrics Metric", _metric, _guard_metric),
    "augment": AUGMENTED,
    "collate_targets": Rule("tensors, or dicts, lists and tuples of them"),
    "collate": Rule("an umbel.Batch with (B, 3, height, width) uint8 images of config.input_size", _batch),
    "views": Rule("a list of at least one umbel.View", _views),
    "restore": Rule("a prediction in the frame of the image"),
    "merge": Rule("one prediction"),
    **CAPABILITY,
}


def expect_as_many(task: Task[Any], predictions: Sequence[Any], count: int) -> Sequence[Any]:
    """What `decode` gave for so many images; PluginError where it is another number of predictions."""
    from umbel.registry.calls.guard import verify

    verify(task, "decode", AS_MANY, predictions, count)
    return predictions
