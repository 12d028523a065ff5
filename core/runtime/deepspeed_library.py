"""The library DeepSpeed itself: the only module that imports it, and only when it is used."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from umbel.config.schema import Recipe
from umbel.contract.errors import ConfigError

PROVEN = ("0.19.8",)  # releases in which tests/core/runtime/test_equality.py holds


def check_shapes(model: nn.Module) -> None:
    """Raise ConfigError for a parameter of a head, backbone or balancer that DeepSpeed fails on with a traceback."""
    named = [name for name, parameter in model.named_parameters() if not parameter.ndim]
    if named:
        raise ConfigError(
            f"DeepSpeed can neither send nor shard {', '.join(named[:4])}: a parameter without dimensions",
            where="deepspeed",
            hint="give it the shape (1,), or train in one process without a deepspeed block",
        )


def import_deepspeed(device: torch.device) -> Any:
    """The library, set up for a device; ConfigError where it is missing or of a release that is not proven right."""
    try:
        version = importlib.metadata.version("deepspeed")
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(
            "DeepSpeed is not installed", where="deepspeed", hint=f"pip install deepspeed=={PROVEN[-1]}, on Linux"
        ) from None
    if version not in PROVEN and os.environ.get("UMBEL_DEEPSPEED") != version:
        raise ConfigError(
            f"release {version} is installed, but umbel is proven right for {', '.join(PROVEN)} only",
            where="deepspeed",
            hint=f"pip install deepspeed=={PROVEN[-1]}; or UMBEL_DEEPSPEED={version} overrules it",
        )
    if device.type == "cpu":
        os.environ["DS_ACCELERATOR"] = "cpu"
    os.environ.setdefault("LOCAL_RANK", "0")  # DeepSpeed insists on it
    if device.index is not None:  # and makes the device of that number the current one, whatever the model is on
        os.environ["LOCAL_RANK"] = str(device.index)
    import deepspeed
    from deepspeed.utils import logger

    if device.type == "cpu":  # else minutes of C++ compilation for a shared-memory all-reduce; gloo does it as well
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    warnings.filterwarnings("ignore", "`torch.distributed.*deprecated", FutureWarning)  # what this release calls
    logger.setLevel(logging.WARNING)
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(sys.stderr)
    deepspeed.init_distributed(auto_mpi_discovery=False, verbose=False)
    return deepspeed


def describe(config: Mapping[str, Any], recipe: Recipe, world_size: int) -> str:
    """What DeepSpeed is about to do, in a line for the log."""
    zero = config["zero_optimization"]
    offload = ", optimizer on the CPU" if (zero.get("offload_optimizer") or {}).get("device") == "cpu" else ""
    clip = recipe.optim.clip_norm
    return (
        f"ZeRO stage {zero['stage']} over {world_size} process{'es' * (world_size > 1)}{offload}, "
        f"gradients {f'clipped to norm {clip:g}' if clip is not None else 'not clipped'}, "
        f"{recipe.train.accumulate} composite batch{'es' * (recipe.train.accumulate > 1)} a step"
    )
