"""Options of the timm backbone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from umbel import check_choice, check_range, option

NORM_STATS = ("frozen", "shared", "per_task")


@dataclass
class TimmOptions:
    """Any timm model that gives feature levels."""

    model: str = option(doc="timm model name, such as convnext_large, tf_efficientnet_lite0 or resnet50")
    weights: str | None = option(
        None,
        "where the backbone starts: null (random), a .safetensors or .pth file, the folder of an umbel run, "
        "or a timm tag such as convnext_large.fb_in22k, which is downloaded",
    )
    drop_path: float = option(0.0, "stochastic depth: rate of the last block, growing linearly from 0 at the first")
    model_args: dict[str, Any] = option(
        {},
        "further arguments of the timm model, by timm's names, such as "
        "{depths: [2, 2, 6, 2], dims: [40, 80, 160, 320], norm_layer: batchnorm2d, ls_init_value: 1.0}; "
        "with weights they must describe the model the weights are of",
    )
    out_strides: list[int] = option([], "strides of the levels for the heads; [] is all of 4, 8, 16, 32 there are")
    level_norm: bool | None = option(
        None,
        "a LayerNorm on every level; null puts it on backbones without batch normalisation, such as ConvNeXt, "
        "whose stages end un-normalised",
    )
    norm_stats: str | None = option(
        None,
        "batch normalisation of a backbone shared by tasks: frozen (statistics of the weights, never updated), "
        "shared (one running average), per_task (a running average for every task, weight and bias shared); "
        "null is frozen with weights, per_task from scratch with several tasks, shared with one",
    )
    grad_checkpointing: bool = option(False, "compute activations again in the backward pass: less memory, more time")
    freeze: bool = option(False, "keep the backbone as loaded; level norms and heads still train")
    mean: list[float] | None = option(None, "RGB mean in 0..1 of the normalisation; null is timm's of the model")
    std: list[float] | None = option(None, "RGB deviation in 0..1; null is timm's of the model")

    def __post_init__(self) -> None:
        check_range("drop_path", self.drop_path, 0.0, 0.99)
        check_choice("norm_stats", self.norm_stats, (None, *NORM_STATS))
        for stride in self.out_strides:
            check_range("out_strides", stride, 1, 256)
        for name, values, low in (("mean", self.mean, 0.0), ("std", self.std, 1e-3)):
            if values is None:
                continue
            if len(values) != 3:
                raise ValueError(f"{name} is {values!r}; expected 3 values, red, green, blue")
            for value in values:
                check_range(name, value, low, 1.0)
