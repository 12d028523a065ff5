"""The losses of a step as observers get them: copied from the device together, once, when the first is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor

from umbel.contract.types import Losses


class FetchedLosses(Mapping[str, Losses]):
    """Losses by task in the host's memory; nothing is copied, and nobody waits, until a task's are asked for.

    Args:
        losses: as the engine gives them, on the device.
    """

    def __init__(self, losses: Mapping[str, Losses]) -> None:
        self._losses = losses
        self._is_fetched = False

    def __getitem__(self, name: str) -> Losses:
        if not self._is_fetched:
            self._losses, self._is_fetched = _fetched(self._losses), True
        return self._losses[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._losses)

    def __len__(self) -> int:
        return len(self._losses)


def _fetched(losses: Mapping[str, Losses]) -> dict[str, Losses]:
    values = _on_host(value for of_task in losses.values() for value in (of_task.total, *of_task.parts.values()))
    return {
        name: Losses(next(values), {part: next(values) for part in of_task.parts}) for name, of_task in losses.items()
    }


def _on_host(values: Iterable[Tensor]) -> Iterator[Tensor]:
    """Copies of tensors on the host, in order: one copy a device, in float64, which holds every value to the bit."""
    tensors = [value.detach() for value in values]
    together = {
        device: torch.cat([value.reshape(-1).double() for value in tensors if value.device == device]).cpu()
        for device in dict.fromkeys(value.device for value in tensors)
    }
    for value in tensors:
        mine, together[value.device] = together[value.device].tensor_split([value.numel()])
        yield mine.to(value.dtype).view(value.shape)
