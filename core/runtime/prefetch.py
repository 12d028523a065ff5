"""Copies to a GPU that run beside its computing: the next batch is on its way while this one is trained on."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from umbel.data.nested import map_tensors, pinned, tensors_in

T = TypeVar("T")


@dataclass
class _Placed(Generic[T]):
    """Something on its way to the device, and what tells that it has arrived."""

    value: T
    arrived: torch.cuda.Event


def copied_ahead(items: Iterator[T], place: Callable[[T], T], device: torch.device) -> Generator[T, None, None]:
    """The items in order, on a GPU placed one ahead by a stream of their own; on a CPU they are passed on as they are.

    What `items` raises is raised only when the items before have been given and the next is asked for, as without it.

    Args:
        items: nested values of tensors; see `umbel.data.nested`.
        place: copies an item to the device, without waiting for it.
        device: where to.
    """
    if device.type != "cuda":
        yield from items
        return
    stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    following = _Following(items, place, stream)
    coming = following.take()
    while coming is not None:
        following.prepare()
        current = torch.cuda.current_stream(device)
        current.wait_event(coming.arrived)
        for tensor in tensors_in(coming.value):
            if tensor.device.type == "cuda":
                tensor.record_stream(current)  # its memory is the other stream's, and is used by this one from here on
        yield coming.value
        coming = following.take()


class _Following(Generic[T]):
    """The next item, on its way, or what was raised instead of it."""

    def __init__(self, items: Iterator[T], place: Callable[[T], T], stream: torch.cuda.Stream) -> None:
        self._items, self._place, self._stream = items, place, stream
        self._next: _Placed[T] | None = None
        self._error: Exception | None = None
        self.prepare()

    def prepare(self) -> None:
        """Fetch the next item and start its copy."""
        try:
            item: T = map_tensors(pinned, next(self._items))
        except StopIteration:
            return
        except Exception as error:  # raised by `take`, in its turn
            self._error = error
            return
        with torch.cuda.stream(self._stream):
            self._next = _Placed(self._place(item), self._stream.record_event())

    def take(self) -> _Placed[T] | None:
        """The item that was prepared, None after the last.

        Raises:
            Exception: what was raised instead of it.
        """
        if self._error is not None:
            raise self._error
        taken, self._next = self._next, None
        return taken
