"""Data that stops being given once a signal has come."""

from __future__ import annotations

from torch.utils.data import Dataset

from umbel.contract.types import Sample
from umbel.training.signals import StopRequest


class Interruptible(Dataset[Sample]):
    """A data set that raises StopRequestedError instead of giving samples once a signal has come.

    Args:
        dataset: what it gives until then.
        request: where the signal's handler leaves it.
    """

    def __init__(self, dataset: Dataset[Sample], request: StopRequest) -> None:
        self.dataset = dataset
        self.request = request

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Sample:
        self.request.raise_if_received()
        return self.dataset[index]
