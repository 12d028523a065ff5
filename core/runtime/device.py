"""Which device a process uses."""

from __future__ import annotations

import os

import torch

from umbel.contract.errors import ConfigError
from umbel.runtime.ranks import Ranks


def choose_device(name: str, ranks: Ranks) -> torch.device:
    """The device of `train.device`; of several processes on a machine each has its own GPU.

    Args:
        name: "auto", "cpu", "cuda" or "cuda:N".
        ranks: this process among those that train together.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"'{name}' is not a device", where="train.device", hint="auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"'{name}' is not supported", where="train.device", hint="auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and ranks.world_size > 1:
        if device.index is not None:
            raise ConfigError(
                f"is {name}, but {ranks.world_size} processes train",
                where="train.device",
                hint="auto gives each its own",
            )
        device = torch.device("cuda", _local_index(ranks))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"'{device}' is not available here", where="train.device", hint="use auto or cpu")
    return device


def make_current(device: torch.device) -> None:
    """Let what asks for no device mean this one: threads that pin memory, compiled kernels, NCCL, DeepSpeed."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)


def _local_index(ranks: Ranks) -> int:
    """Of the GPUs that a process sees; a batch system may show each of its tasks one alone, which is then number 0.

    What `torchrun` starts sees what it sees itself: a second process finds no second GPU there.
    """
    alone = torch.cuda.device_count() == 1 and "TORCHELASTIC_RUN_ID" not in os.environ
    return 0 if alone else ranks.local_rank
