"""What the methods of a backbone and of a balancer must return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umbel.contract.types import FeatureSpec
from umbel.registry.calls.checks import mapping, module
from umbel.registry.calls.fault import describe
from umbel.registry.calls.rule import Rule

Args = tuple[Any, ...]


def _levels(backbone: Any, result: Any, arguments: Args) -> str:
    import torch

    if torch.compiler.is_compiling():  # traced for an export: the shapes are symbols
        return ""
    if not isinstance(result, (tuple, list)):
        return describe(result)
    count, _, height, width = arguments[0].shape
    spec = backbone.spec
    if len(result) != len(spec.channels):
        return f"{len(result)} levels, where its spec has {len(spec.channels)}"
    for index, (level, channels, stride) in enumerate(zip(result, spec.channels, spec.strides, strict=True)):
        divides = height % stride == 0 and width % stride == 0
        shape = (count, channels, height // stride, width // stride)
        found = tuple(getattr(level, "shape", ()))
        if len(found) != 4 or not level.is_floating_point() or found[:2] != shape[:2] or (divides and found != shape):
            return f"level {index} as {describe(level)}, where its spec says {shape}"
    return ""


def _text(backbone: Any, result: Any, arguments: Args) -> str:
    return "" if result is None or isinstance(result, str) else describe(result)


def _key(backbone: Any, result: Any, arguments: Args) -> str:
    return "" if isinstance(result, str) else describe(result)


def _stages(backbone: Any, result: Any, arguments: Args) -> str:
    if not isinstance(result, Mapping):
        return describe(result)
    absent = [name for name, _ in backbone.named_parameters() if name not in result]
    return f"no stage for {', '.join(absent[:4])}" if absent else ""


def _scalar(balancer: Any, result: Any, arguments: Args) -> str:
    if isinstance(result, bool) or not (hasattr(result, "__float__") and getattr(result, "numel", lambda: 1)() == 1):
        return describe(result)
    return ""


def _penalty(balancer: Any, result: Any, arguments: Args) -> str:
    return "" if result is None else _scalar(balancer, result, arguments)


BACKBONE = {
    "forward": Rule("a tuple of (B, channels, H / stride, W / stride) tensors, one a level of its spec", _levels),
    "bind_tasks": Rule(),
    "feature_key": Rule("a str", _key),
    "keep_tasks": Rule(),
    "inferred_options": Rule("a dict of options", mapping),
    "for_export": Rule("a torch.nn.Module", module),
    "complete_state": Rule("a dict of tensors", mapping),
    "stage_of_parameters": Rule("a stage for every parameter by name", _stages),
    "summary": Rule("a str", _text),
    "load_pretrained": Rule("a str", _text),
}

BALANCER = {
    "factor": Rule("a scalar", _scalar),
    "penalty": Rule("a scalar tensor, or None", _penalty),
    "observe": Rule(),
    "balanced": Rule("a scalar tensor", _scalar),
}


def faults_of_backbone(backbone: Any) -> tuple[str, str]:
    """What is wrong with the attributes that a backbone has to set, and what was expected; empty where nothing is."""
    spec = getattr(backbone, "spec", None)
    if not isinstance(spec, FeatureSpec) or not len(spec.channels) == len(spec.strides) > 0:
        return f"an object whose spec is {describe(spec) if not isinstance(spec, FeatureSpec) else spec}", (
            "spec: an umbel.FeatureSpec with one number of channels and one stride a level"
        )
    for name in ("mean", "std"):
        values: Any = getattr(backbone, name, None)
        numbers = isinstance(values, (tuple, list)) and len(values) == 3
        if (
            not numbers
            or not all(isinstance(value, (int, float)) for value in values)
            or (name == "std" and 0 in values)
        ):
            return f"an object whose {name} is {values!r}", f"{name}: 3 numbers in 0..1, red, green, blue"
    return "", ""
