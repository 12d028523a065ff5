"""Which device a process uses."""

from __future__ import annotations

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
        device = torch.device("cuda", ranks.local_rank)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"'{device}' is not available here", where="train.device", hint="use auto or cpu")
    return device
