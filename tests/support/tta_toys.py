"""A toy whose views, decoding and merging follow the recipe, for comparing variants of test-time augmentation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from toys import BrightOptions, BrightTask, TinyBackbone

from umbel import Backbone, Size, Task, TtaVariant, View, default_tta_variants, hookimpl, option, round_up


@dataclass
class ViewedOptions(BrightOptions):
    gain: float = option(1.0, "factor on what is decoded")
    pick: str = option("mean", "how views are merged: mean or max")

    def __post_init__(self) -> None:
        if self.pick not in ("mean", "max"):
            raise ValueError(f"pick is {self.pick!r}; mean or max")


class ViewedTask(BrightTask):
    """Counts bright pixels in views of every scale and flip."""

    Options = ViewedOptions
    options: ViewedOptions
    merge_options = frozenset({"pick"})

    def views(self, size: Size) -> list[View]:
        tta = self.config.tta
        sizes = [(height, width) for height, width in tta.sizes]
        sizes = sizes or [(int(size[0] * scale + 0.5), int(size[1] * scale + 0.5)) for scale in tta.scales]
        flips = (False, True) if tta.hflip else (False,)
        return [View(side, flip, round_up(side, 8)) for side in sizes for flip in flips]

    def decode(self, output: Tensor, view: View) -> list[float]:
        return [self.options.gain * float(value) for value in output]

    def merge(self, predictions: Iterable[float]) -> float:
        values = list(predictions)
        return max(values) if self.options.pick == "max" else sum(values) / len(values)


class SuggestingTask(ViewedTask):
    """Knows more rows than the default ones."""

    def tta_variants(self) -> list[TtaVariant]:
        rows = default_tta_variants(self.config.tta)
        return [*rows, TtaVariant("Most", rows[-1].tta, {"pick": "max"})]


class ViewedPlugin:
    @hookimpl
    def umbel_tasks(self) -> dict[str, type[Task[Any]]]:
        return {"viewed": ViewedTask, "suggesting": SuggestingTask}

    @hookimpl
    def umbel_backbones(self) -> dict[str, type[Backbone]]:
        return {"tiny": TinyBackbone}


VIEWED_MODULE = """
from umbel import hookimpl

@hookimpl
def umbel_tasks():
    return {"viewed": "tta_toys:ViewedTask", "suggesting": "tta_toys:SuggestingTask"}

@hookimpl
def umbel_backbones():
    return {"tiny": "toys:TinyBackbone"}
"""

VIEWED_RECIPE = """
backbone: {name: tiny, options: {norm: false}}
tasks:
  bright:
    kind: viewed
    batch_size: 3
    input_size: [16, 24]
    tta: {scales: [1.0, 1.5], hflip: true}
    options: {count: 7}
optim: {lr: 0.01, warmup_steps: 2}
train: {steps: 3, precision: fp32}
"""
