"""Whether a run is compiled: what the recipe wants, what this machine has, what ZeRO allows."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

import torch

from umbel.contract.errors import ConfigError

LARGEST_STAGE = 1  # of ZeRO, at which compiled training was seen to equal eager training


def chooses_compiler(wanted: str, device: torch.device, *, stage: int) -> bool:
    """Whether training runs compiled.

    "auto" compiles on a GPU where Triton and a C compiler work, and nowhere else: on a CPU compiling takes minutes a
    task and gains little, as convolutions stay oneDNN's.

    Args:
        wanted: "auto", "on" or "off".
        device: where the model is.
        stage: of ZeRO; 2 takes gradients apart while a backward pass still runs, and 3 gathers weights layer by layer:
            a graph allows neither.

    Raises:
        ConfigError: "on" where it cannot be; names what is missing.
    """
    if wanted == "off" or (wanted == "auto" and (device.type != "cuda" or stage > LARGEST_STAGE)):
        return False
    if stage > LARGEST_STAGE:
        raise ConfigError(
            f"is on, but deepspeed.zero_optimization.stage is {stage}, which takes apart what a compiled graph holds",
            where="train.compile",
            hint="choose train.compile=off, or stage 0 or 1",
        )
    missing = missing_tools(device)
    if missing and wanted == "on":
        raise ConfigError(
            f"is on, but {missing} is missing to compile for {device.type}",
            where="train.compile",
            hint="install it, or choose train.compile=off",
        )
    return not missing


def missing_tools(device: torch.device) -> str:
    """What the compiler needs for a device and does not find here, or ""."""
    if device.type == "cuda" and not has_triton():
        return "a Triton that works with this GPU"
    if device.type != "cuda" and not _found(os.environ.get("CXX", ""), "g++", "clang++"):
        return "a C++ compiler (g++)"
    if device.type == "cuda" and not _found(os.environ.get("CC", ""), "gcc", "clang", "cc"):
        return "a C compiler (gcc), with which Triton builds its launchers,"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "Python.h (the headers of Python)"
    return ""


def has_triton() -> bool:
    """Whether Triton is installed and its backend works with the GPU."""
    from torch.utils import _triton

    return bool(_triton.has_triton())


def _found(*commands: str) -> bool:
    return any(shutil.which(command) for command in commands if command)
