"""What the methods of a task must return; core looks no further into targets, outputs and predictions."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umbel.contract.types import Batch, Losses, Sample, View
from umbel.registry.calls.fault import describe
from umbel.registry.calls.guard import guard
from umbel.registry.calls.owner import owner_of
from umbel.registry.calls.rule import Rule

if TYPE_CHECKING:
    from umbel.contract.task import Task


Args = tuple[Any, ...]

_PLAIN = (str, bool, int, float, type(None))

_WRITABLE = (*_PLAIN, bytes, Path, enum.Enum)


def _picture(value: Any) -> bool:
    """Whether it is an (H, W, 3) uint8 image."""
    import numpy as np

    return isinstance(value, np.ndarray) and value.ndim == 3 and value.shape[2] == 3 and value.dtype == np.uint8


def _dataset(task: Any, result: Any, arguments: Args) -> str:
    if not hasattr(type(result), "__getitem__") or not hasattr(type(result), "__len__"):
        return describe(result)
    len(result)
    return ""


def _stored(task: Any, result: Any, arguments: Args) -> str:
    if not isinstance(result, Sample):
        return describe(result)
    if not _picture(result.image):
        return f"a Sample with an image that is {describe(result.image)}"
    if not isinstance(result.id, str):
        return f"a Sample with an id that is {describe(result.id)}"
    if len(result.size) != 2:
        return f"a Sample of size {result.size!r}"
    return ""


def _augmented(task: Any, result: Any, arguments: Args) -> str:
    if not isinstance(result, Sample) or not _picture(result.image):
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


def _module(task: Any, result: Any, arguments: Args) -> str:
    from torch import nn

    return "" if isinstance(result, nn.Module) else describe(result)


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


def _decoded(task: Any, result: Any, arguments: Args) -> str:
    return "" if isinstance(result, Sequence) and not isinstance(result, str) else describe(result)


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


def _options(task: Any, result: Any, arguments: Args) -> str:
    if not isinstance(result, Mapping):
        return describe(result)
    options = type(task).Options
    known = {field.name for field in fields(options)} if is_dataclass(options) else set(result)
    for name, value in result.items():
        if name not in known:
            return f"'{name}', which {options.__name__} does not have"
        if not _writable(value, _WRITABLE):
            return f"'{name}' as {describe(value)}"
    return ""


def _writable(value: Any, plain: tuple[type, ...]) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, plain) and _writable(item, plain) for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return all(_writable(item, plain) for item in value)
    return isinstance(value, plain)


def _json(task: Any, result: Any, arguments: Args) -> str:
    odd = _not_json(result)
    return "" if odd is None else describe(result if odd is result else odd[0])


def _not_json(value: Any) -> Any:
    """The first thing inside that JSON cannot hold, in a tuple; None where all is well."""
    if isinstance(value, _PLAIN):
        return None
    if isinstance(value, dict):
        odd = [key for key in value if not isinstance(key, _PLAIN)]
        return (odd[0],) if odd else next(filter(None, map(_not_json, value.values())), None)
    if isinstance(value, (list, tuple)):
        return next(filter(None, map(_not_json, value)), None)
    return (value,)


def _drawn(task: Any, result: Any, arguments: Args) -> str:
    return "" if _picture(result) and result.shape == arguments[0].shape else describe(result)


def _mask(task: Any, result: Any, arguments: Args) -> str:
    fits = result is None or (getattr(result, "ndim", 0) == 2 and str(result.dtype) in ("uint8", "uint16"))
    return "" if fits else describe(result)


def _dicts(task: Any, result: Any, arguments: Args) -> str:
    fits = isinstance(result, Sequence) and all(isinstance(item, Mapping) for item in result)
    return "" if fits else describe(result)


def _dicts_or_none(task: Any, result: Any, arguments: Args) -> str:
    return "" if result is None else _dicts(task, result, arguments)


def _names(task: Any, result: Any, arguments: Args) -> str:
    fits = isinstance(result, Sequence) and not isinstance(result, str) and all(isinstance(n, str) for n in result)
    return "" if fits else describe(result)


def _strata(task: Any, result: Any, arguments: Args) -> str:
    return "" if len(result) in (0, len(arguments[0])) else f"{len(result)} classes for {len(arguments[0])} samples"


def _statistics(task: Any, result: Any, arguments: Args) -> str:
    fits = isinstance(result, Sequence) and all(hasattr(table, "rows") and hasattr(table, "title") for table in result)
    return "" if fits else describe(result)


def _mapping(task: Any, result: Any, arguments: Args) -> str:
    return "" if isinstance(result, Mapping) else describe(result)


def _report(task: Any, result: Any, arguments: Args) -> str:
    return "" if hasattr(result, "findings") and hasattr(result, "id") else describe(result)


def _reporter(task: Any, result: Any, arguments: Args) -> str:
    absent = [name for name in ("add", "figures") if not callable(getattr(result, name, None))]
    return f"{describe(result)}, which has no {absent[0]}()" if absent else ""


def _figures(reporter: Any, result: Any, arguments: Args) -> str:
    from umbel.contract.figures import Figure

    odd = [one for one in result if not isinstance(one, Figure)]
    return f"a list with {describe(odd[0])}" if odd else ""


def _guard_head(task: Any, head: Any) -> None:
    guard(head, owner_of(task), HEAD, "head().")


def _guard_metric(task: Any, metric: Any) -> None:
    guard(metric, owner_of(task), METRIC, "metric().")


def _guard_reporter(task: Any, reporter: Any) -> None:
    guard(reporter, owner_of(task), REPORTER, "reporter().")


HEAD = {"forward": Rule()}

SCORES = Rule("a dict of scalars by name", _scores)

METRIC = {"update": Rule("nothing; it takes lists of predictions and targets"), "compute": SCORES}

REPORTER = {"add": Rule(), "figures": Rule("a list of umbel figures", _figures)}

STORED = Rule("an umbel.Sample with an (H, W, 3) uint8 image, a str id, and a size (height, width)", _stored)

AUGMENTED = Rule("an umbel.Sample with an (H, W, 3) uint8 image of config.input_size", _augmented, catches=False)

AS_MANY = Rule("one prediction an image", _as_many)

TASK = {
    "dataset": Rule("a data set with __len__ and __getitem__", _dataset),
    "head": Rule("a torch.nn.Module", _module, _guard_head, combination=True),
    "loss": Rule("umbel.Losses with a 0-dimensional floating total that has a gradient, and scalar parts", _losses),
    "decode": Rule("a list of one prediction an image", _decoded),
    "metric": Rule("a torchmetrics Metric", _metric, _guard_metric),
    "inspect": Rule("an umbel SampleReport", _report),
    "strata": Rule("one class a sample, or none", _strata),
    "augment": AUGMENTED,
    "collate_targets": Rule("tensors, or dicts, lists and tuples of them"),
    "collate": Rule("an umbel.Batch with (B, 3, height, width) uint8 images of config.input_size", _batch),
    "views": Rule("a list of at least one umbel.View", _views),
    "restore": Rule("a prediction in the frame of the image"),
    "merge": Rule("one prediction"),
    "tta_rows": Rule("a list of TtaVariant", _decoded),
    "learnt_options": Rule("values that a recipe can hold, by the name of an option", _options),
    "describe_data": Rule("a list of umbel Statistic", _statistics),
    "draw": Rule("an (H, W, 3) uint8 picture of the image's size", _drawn),
    "class_list": Rule("a list of names", _names),
    "narrow": Rule("a prediction"),
    "to_mask": Rule("an (H, W) uint8 or uint16 array, or None", _mask),
    "to_coco": Rule("a list of dicts, or None", _dicts_or_none),
    "coco_categories": Rule("a list of dicts", _dicts),
    "reporter": Rule("an umbel Reporter", _reporter, _guard_reporter),
    "to_json": Rule("JSON types: dict, list, str, int, float, bool, None", _json),
    "export": Rule("a torch.nn.Module", _module),
    "alike": Rule("True or False"),
    "export_spec": Rule("a dict", _mapping),
}


def expect_as_many(task: Task[Any], predictions: Sequence[Any], count: int) -> Sequence[Any]:
    """What `decode` gave for so many images; PluginError where it is another number of predictions."""
    from umbel.registry.calls.guard import verify

    verify(task, "decode", AS_MANY, predictions, count)
    return predictions
