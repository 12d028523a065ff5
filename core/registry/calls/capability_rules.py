"""What the methods of a task's capabilities must return, and what is returned by what they return."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from umbel.registry.calls.checks import is_picture, mapping, module, sequence
from umbel.registry.calls.fault import describe
from umbel.registry.calls.guard import guard
from umbel.registry.calls.owner import owner_of
from umbel.registry.calls.rule import Rule

Args = tuple[Any, ...]

_PLAIN = (str, bool, int, float, type(None))

_WRITABLE = (*_PLAIN, bytes, Path, enum.Enum)


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
    return "" if is_picture(result) and result.shape == arguments[0].shape else describe(result)


def _mask(task: Any, result: Any, arguments: Args) -> str:
    fits = getattr(result, "ndim", 0) == 2 and str(result.dtype) in ("uint8", "uint16")
    return "" if fits else describe(result)


def _dicts(task: Any, result: Any, arguments: Args) -> str:
    fits = isinstance(result, Sequence) and all(isinstance(item, Mapping) for item in result)
    return "" if fits else describe(result)


def _names(task: Any, result: Any, arguments: Args) -> str:
    fits = isinstance(result, Sequence) and not isinstance(result, str) and all(isinstance(n, str) for n in result)
    return "" if fits else describe(result)


def _strata(task: Any, result: Any, arguments: Args) -> str:
    return "" if len(result) in (0, len(arguments[0])) else f"{len(result)} classes for {len(arguments[0])} samples"


def _statistics(task: Any, result: Any, arguments: Args) -> str:
    fits = isinstance(result, Sequence) and all(hasattr(table, "rows") and hasattr(table, "title") for table in result)
    return "" if fits else describe(result)


def _report(task: Any, result: Any, arguments: Args) -> str:
    return "" if hasattr(result, "findings") and hasattr(result, "id") else describe(result)


def _reporter(task: Any, result: Any, arguments: Args) -> str:
    absent = [name for name in ("add", "figures") if not callable(getattr(result, name, None))]
    return f"{describe(result)}, which has no {absent[0]}()" if absent else ""


def _figures(reporter: Any, result: Any, arguments: Args) -> str:
    from umbel.contract.figures import Figure

    odd = [one for one in result if not isinstance(one, Figure)]
    return f"a list with {describe(odd[0])}" if odd else ""


def _guard_reporter(task: Any, reporter: Any) -> None:
    guard(reporter, owner_of(task), REPORTER, "reporter().")


REPORTER = {"add": Rule(), "figures": Rule("a list of umbel figures", _figures)}

CAPABILITY = {
    "inspect": Rule("an umbel SampleReport", _report),
    "strata": Rule("one class a sample, or none", _strata),
    "tta_variants": Rule("a list of TtaVariant", sequence),
    "inferred_options": Rule("values that a recipe can hold, by the name of an option", _options),
    "describe_data": Rule("a list of umbel Statistic", _statistics),
    "draw": Rule("an (H, W, 3) uint8 picture of the image's size", _drawn),
    "prediction_classes": Rule("a list of names", _names),
    "filter": Rule("a prediction"),
    "to_mask": Rule("an (H, W) uint8 or uint16 array", _mask),
    "to_coco": Rule("a list of dicts", _dicts),
    "coco_categories": Rule("a list of dicts", _dicts),
    "reporter": Rule("an umbel Reporter", _reporter, _guard_reporter),
    "to_json": Rule("JSON types: dict, list, str, int, float, bool, None", _json),
    "export": Rule("a torch.nn.Module", module),
    "warp": Rule("a target"),
    "predictions_close": Rule("True or False"),
    "export_spec": Rule("a dict", mapping),
}
