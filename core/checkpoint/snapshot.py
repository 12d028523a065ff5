"""Copies of what a training goes on changing, in memory that one save leaves to the next."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class Snapshot:
    """Holds the last copy of every tensor; fresh memory would cost more time than the copying, page by page."""

    def __init__(self) -> None:
        self._memory: dict[tuple[str, str], Tensor] = {}

    @torch.no_grad()
    def copy(self, stem: str, named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors as they are now, on the CPU; they are valid until the same file is copied again.

        Args:
            stem: which file they are of.
            named: tensors by name.
        """
        copies = {}
        for name, value in named.items():
            held = self._memory.get((stem, name))
            if held is None or (held.shape, held.dtype, held.stride()) != (value.shape, value.dtype, value.stride()):
                held = torch.empty_like(value, device="cpu", requires_grad=False)
            self._memory[stem, name] = copies[name] = held.copy_(value)
        return copies
