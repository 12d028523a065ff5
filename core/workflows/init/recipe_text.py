"""A new recipe as text, with comments that say what to change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from umbel.config.literals import literal
from umbel.workflows.init.detect import Start
from umbel.workflows.init.shared import NewSource, described, find_sources


def recipe_text(starts: Sequence[Start], model: str, weights: str | None, steps: int) -> str:
    """YAML of a recipe for small data.

    Args:
        starts: the tasks.
        model: of the backbone.
        weights: a file, or a tag such as "tf_efficientnet_lite0.in1k"; None trains from scratch.
        steps: of the training.
    """
    sources = find_sources(starts)
    backbone = {"model": model, "weights": weights} | ({"norm_stats": "frozen"} if weights else {})
    if sources and not weights:
        backbone["norm_stats"] = "shared"
    lines = [
        "# Written by `umbel init`. `umbel check` tries it, `umbel train` trains it.",
        "# `umbel show --schema recipe` documents every key.",
        "backbone:",
        "  name: timm",
        "  options:",
        *(f"    {key}: {_flow(value)}{_remark(key, value)}" for key, value in backbone.items()),
        *(["sources:"] if sources else []),
        *(line for source in sources for line in _source_lines(source)),
        "tasks:",
    ]
    for start in starts:
        keys = dict(described(start, sources))
        options = keys.pop("options")
        names = ", ".join(start.classes[:8]) + (f" and {len(start.classes) - 8} more" if len(start.classes) > 8 else "")
        lines += [
            f"  # {start.counts['train']} training and {start.counts['val']} validation images, about "
            f"{start.image_size[0]} x {start.image_size[1]} (height x width)",
            f"  # layout {start.detected.layout}; {len(start.classes)} classes: {_printable(names)}",
            f"  {start.name}:",
        ]
        lines += [f"    {key}: {_flow(value)}{_remark(key)}" for key, value in keys.items()]
        lines += [f"    options:  # umbel show --schema {start.kind}"]
        lines += [f"      {key}: {_flow(value)}" for key, value in options.items()]
    rate = "backbone_lr_scale: 0.33, " if weights else ""
    lines += [
        f"optim: {{lr: 1.5e-3, {rate}weight_decay: 0.01, warmup_steps: {min(40, max(1, steps // 10))}}}",
        f"train: {{steps: {steps}, ema_decay: 0.99, eval_every: {max(1, steps // 2)}}}  # more steps: better scores",
    ]
    return "\n".join(lines) + "\n"


def _source_lines(source: NewSource) -> list[str]:
    return [
        f"  # each image is read and varied once for {' and '.join(source.tasks)}, with the labels that there are",
        f"  {source.name}:",
        *(f"    {key}: {_flow(value)}{_remark(key)}" for key, value in source.entry().items()),
    ]


_REMARKS = {
    "weights": "ImageNet weights; null trains from scratch, which needs far more data",
    "norm_stats": "small batches of several kinds of images: keep the statistics of the weights",
    "input_size": "height, width; larger finds smaller things and takes longer",
    "holdout": "share of the images that validates, for want of a split; the same ones in every run",
    "batch_size": "images in a step",
    "augment": "in place of the tasks' own options",
    "weight": "factor on its loss; raise it for the task that matters",
}


def _remark(key: str, value: Any = None) -> str:
    return f"  # {_REMARKS[key]}" if key in _REMARKS and value != "shared" else ""


def _flow(value: Any) -> str:
    """A value in YAML's flow style, which JSON is; what looks like an interpolation in it is none."""
    return "".join(map(_readable, json.dumps(literal(value), ensure_ascii=False)))


def _readable(character: str) -> str:
    """A character as YAML's double quotes take it."""
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
