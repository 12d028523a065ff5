"""Streams of the pretended GPU: what one computes may be used by another only once it has waited for it.

Nothing runs at another time than it is called; only the order in which things are said to wait is kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef


class StreamRaceError(RuntimeError):
    """A tensor is used by a stream that does not wait for the one that makes it, or whose memory it may take back."""


class PretendedEvent:
    """A point in the work of a stream."""

    def __init__(self, stream: PretendedStream) -> None:
        self.stream, self.work = stream, stream.work


class PretendedStream:
    """A queue of work.

    Attributes:
        work: how much it has been given.
        seen: how much of the work of other streams is done before what comes next.
    """

    def __init__(self, device: object = None) -> None:
        self.work = 0
        self.seen: dict[PretendedStream, int] = {}

    def record_event(self, event: object = None) -> PretendedEvent:
        return PretendedEvent(self)

    def wait_event(self, event: PretendedEvent) -> None:
        self.seen[event.stream] = max(event.work, self.seen.get(event.stream, 0))

    def wait_stream(self, stream: PretendedStream) -> None:
        self.wait_event(stream.record_event())


@dataclass
class _Origin:
    """The stream that filled a storage, when, and the others that its memory is kept for."""

    storage: StorageWeakRef  # keeps the key from being given again
    stream: PretendedStream
    work: int
    users: set[PretendedStream]


class Streams:
    """The current stream, and which other one each tensor comes from."""

    def __init__(self) -> None:
        self.default = self.current = PretendedStream()
        self._origins: dict[int, _Origin] = {}

    @contextlib.contextmanager
    def entered(self, stream: PretendedStream) -> Iterator[None]:
        """In place of `torch.cuda.stream`."""
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    def made(self, storage: StorageWeakRef, key: int) -> None:
        """The current stream fills a storage."""
        self.current.work += 1
        if self.current is self.default:
            self._origins.pop(key, None)
        else:
            self._origins[key] = _Origin(storage, self.current, self.current.work, {self.current})

    def record(self, key: int | None, stream: PretendedStream) -> None:
        """In place of `Tensor.record_stream`."""
        if key in self._origins:
            self._origins[key].users.add(stream)

    def used(self, key: int | None, tensor: Tensor) -> None:
        """The current stream uses a tensor.

        Raises:
            StreamRaceError: it comes from another, and this one does not wait for it, or its memory is not kept.
        """
        origin = self._origins.get(key) if key is not None else None
        if origin is None or origin.stream is self.current:
            return
        what = f"a tensor {tuple(tensor.shape)} of another stream is used"
        if self.current.seen.get(origin.stream, 0) < origin.work:
            raise StreamRaceError(f"{what} without waiting for it: call wait_event() or wait_stream()")
        if self.current not in origin.users:
            raise StreamRaceError(f"{what}, which may reuse its memory meanwhile: call record_stream()")
