"""Building the backbone: a timm model cut to the feature levels that are asked for."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import timm
import torch
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn

from umbel import ConfigError, FeatureSpec
from umbel.backbones.options import TimmOptions

USUAL_STRIDES = (4, 8, 16, 32)

PROBE = 128  # pixels; divisible by every usual stride

WHERE = "backbone.options.model"

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class BuiltBackbone:
    """A built backbone.

    Args:
        module: takes (B, 3, H, W), returns one tensor a level.
        spec: channels and strides of the levels.
        mean: RGB mean in 0..1 of its inputs.
        std: RGB standard deviation in 0..1 of its inputs.
        channels_last: its levels are (B, H, W, C).
    """

    module: nn.Module
    spec: FeatureSpec
    mean: Triple
    std: Triple
    channels_last: bool


def build_backbone(options: TimmOptions) -> BuiltBackbone:
    """The randomly initialised backbone of `options.model`.

    Raises:
        ConfigError: for an unknown model, one that gives no feature levels, or strides it does not have.
    """
    check_model(options.model)
    with torch.device("meta"):
        probe = _create(options, None)
    reductions = [int(level["reduction"]) for level in probe.feature_info.info]
    strides = _choose_strides(options, reductions)
    last_of = {stride: index for index, stride in enumerate(reductions)}
    indices = tuple(last_of[stride] for stride in strides)

    module = _create(options, indices)
    info = probe.pretrained_cfg or {}
    built = BuiltBackbone(
        module,
        FeatureSpec(tuple(module.feature_info.channels()), strides),
        _triple(options.mean, info.get("mean"), IMAGENET_DEFAULT_MEAN),
        _triple(options.std, info.get("std"), IMAGENET_DEFAULT_STD),
        str(getattr(module, "output_fmt", None) or "NCHW").upper().endswith("NHWC"),
    )
    with torch.device("meta"):
        _check_levels(options.model, _create(options, indices), built)
    return built


def check_model(name: str) -> None:
    """Raise ConfigError, with the nearest names, unless timm has a model of this name."""
    if timm.is_model(name):
        return
    near = difflib.get_close_matches(name.split(".")[0], timm.list_models(), n=4, cutoff=0.5)
    raise ConfigError(
        f"timm {timm.__version__} has no model '{name}'",
        where=WHERE,
        hint=f"did you mean {', '.join(near)}?" if near else "timm.list_models() lists all names",
    )


def nchw(level: Tensor, channels_last: bool) -> Tensor:
    """A level as (B, C, H, W)."""
    return level.permute(0, 3, 1, 2) if channels_last else level


def _create(options: TimmOptions, indices: tuple[int, ...] | None) -> Any:
    settings: dict[str, Any] = {} if indices is None else {"out_indices": indices}
    if options.drop_path > 0:
        settings["drop_path_rate"] = options.drop_path
    if _fixed_size(options.model):
        settings["strict_img_size"] = False
    try:
        return timm.create_model(options.model, features_only=True, **{**settings, **options.model_args})
    except Exception as error:  # every model family refuses in its own way
        reason = _first_line(error)
        message = f"'{options.model}' cannot be a backbone: {reason}"
        if "drop_path_rate" in reason:
            message = f"'{options.model}' has no stochastic depth; set drop_path to 0"
        elif "strict_img_size" in reason:
            message = f"'{options.model}' takes images of one fixed size only"
        raise ConfigError(message, where=WHERE, hint="a ConvNeXt, EfficientNet or ResNet serves") from None


def _fixed_size(name: str) -> bool:
    try:
        cfg = timm.models.get_pretrained_cfg(name)
    except RuntimeError as error:
        tags = ", ".join(timm.list_pretrained(f"{name.split('.')[0]}.*"))
        raise ConfigError(_first_line(error), where=WHERE, hint=f"tags: {tags}") from None
    return bool(cfg is not None and cfg.fixed_input_size)


def _choose_strides(options: TimmOptions, reductions: list[int]) -> tuple[int, ...]:
    wanted = sorted(set(options.out_strides)) or [stride for stride in USUAL_STRIDES if stride in reductions]
    missing = [stride for stride in wanted if stride not in reductions]
    if missing or not wanted:
        raise ConfigError(
            f"'{options.model}' has no level of stride {', '.join(map(str, missing or USUAL_STRIDES))}",
            where="backbone.options.out_strides",
            hint=f"it has strides {sorted(set(reductions))}",
        )
    return tuple(wanted)


def _check_levels(name: str, module: nn.Module, built: BuiltBackbone) -> None:
    """Run the backbone without data: some models round sizes, or take images of one size only."""
    try:
        levels = module.eval()(torch.empty(1, 3, PROBE, PROBE))
    except Exception as error:
        raise ConfigError(
            f"'{name}' cannot process an image of {PROBE} x {PROBE}: {_first_line(error)}",
            where=WHERE,
            hint="choose a model that takes images of any size, such as a ConvNeXt",
        ) from None
    for level, channels, stride in zip(levels, built.spec.channels, built.spec.strides, strict=True):
        shape = tuple(nchw(level, built.channels_last).shape[1:])
        if shape != (channels, PROBE // stride, PROBE // stride):
            raise ConfigError(
                f"'{name}' turns {PROBE} x {PROBE} pixels into a level of {shape[1]} x {shape[2]} at stride {stride}",
                where=WHERE,
                hint="heads need levels of exactly size / stride; choose a model with padded convolutions",
            )


def _triple(chosen: list[float] | None, declared: Any, default: Any) -> Triple:
    red, green, blue = chosen or declared or default
    return (float(red), float(green), float(blue))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
