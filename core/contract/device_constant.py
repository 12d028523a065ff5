"""Values that a task or balancer needs on whatever device it is asked to compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class DeviceConstant:
    """A tensor that never changes, copied to each device once: each copy makes the host wait for the device.

    It is no buffer of a module, so that checkpoints do not have it. A pickled or deep-copied one takes along its value
    but not the copies, for no other process may use those.

    Args:
        value: on the CPU; not to be written to.
    """

    def __init__(self, value: Tensor) -> None:
        self._value = value
        self._copies: dict[torch.device, Tensor] = {}

    def on(self, device: torch.device) -> Tensor:
        """The value on a device; not to be written to."""
        import torch

        if device not in self._copies:
            with torch.inference_mode(False):  # what inference mode makes cannot be trained with
                self._copies[device] = self._value.to(device)
        return self._copies[device]

    def __reduce__(self) -> tuple[type[DeviceConstant], tuple[Tensor]]:
        return DeviceConstant, (self._value,)
