"""The pretended device: which tensors lie on it, and a list of the host's waits for it."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from umbel.testing.gpu.streams import PretendedStream, Streams

CUDA = torch.device("cuda", 0)
CPU = torch.device("cpu")

_SILENT = (str(Path(torch.__file__).parent), str(Path(__file__).parent), contextlib.__file__)
_PRUNE_EVERY = 4096  # storages


class MixedDevicesError(RuntimeError):
    """An operator was given tensors of both devices; CUDA refuses it with a RuntimeError as well."""


class NotOnHostError(TypeError):
    """A tensor of the device was asked for its memory, as by `.numpy()`; torch raises a TypeError as well."""


@dataclass(frozen=True)
class Wait:
    """The host waited until the device had done what it was told before.

    Args:
        what: the operator or call.
        where: "file:line" of the caller outside torch.
    """

    what: str
    where: str


class PretendedGpu:
    """Memory and log of the device `cuda:0`.

    Attributes:
        waits: of the host, in order.
        creating: whether tensors that are made from nothing belong to the device.
        backward: depth of the backward passes under way.
        streams: which work waits for which.
    """

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        self.creating = False
        self.backward = 0
        self.streams = Streams()
        self._pinned: dict[int, StorageWeakRef] = {}
        self._paused = 0
        self._storages: dict[int, StorageWeakRef] = {}  # a weak reference keeps the key from being given again

    def holds(self, tensor: Tensor) -> bool:
        """Whether the tensor lies on the device."""
        key = _storage(tensor)
        reference = None if key is None else self._storages.get(key._cdata)
        return reference is not None and not reference.expired()  # type: ignore[no-untyped-call]

    def place(self, tensor: Tensor, *, on_device: bool) -> None:
        """Say where a tensor's storage lies."""
        storage = _storage(tensor)
        if storage is None:
            return
        if not on_device:
            self._storages.pop(storage._cdata, None)
            return
        reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        self._storages[storage._cdata] = reference
        self.streams.made(reference, storage._cdata)
        if len(self._storages) % _PRUNE_EVERY == 0:
            dead = [key for key, reference in self._storages.items() if reference.expired()]  # type: ignore[no-untyped-call]
            for key in dead:
                del self._storages[key]

    def use(self, tensor: Tensor) -> None:
        """The current stream works on a tensor of the device."""
        self.streams.used(_key(tensor), tensor)

    def record_stream(self, tensor: Tensor, stream: PretendedStream) -> None:
        """A stream works on a tensor of another's memory."""
        self.streams.record(_key(tensor), stream)

    def pin(self, tensor: Tensor) -> Tensor:
        """A copy in pinned memory of the host."""
        copy = tensor.detach().clone()
        storage = _storage(copy)
        assert storage is not None
        self._pinned[storage._cdata] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        return copy

    def is_pinned(self, tensor: Tensor) -> bool:
        """Whether the device reads a tensor of the host by itself."""
        key = _key(tensor)
        reference = None if key is None else self._pinned.get(key)
        return reference is not None and not reference.expired()  # type: ignore[no-untyped-call]

    def wait(self, what: str) -> None:
        """The host waits here."""
        if not self._paused:
            self.waits.append(Wait(what, caller()))

    def refuse(self, what: str) -> None:
        """The devices do not fit.

        Raises:
            MixedDevicesError: always.
        """
        raise MixedDevicesError(f"{caller()}: {what}: expected all tensors to be on the same device")

    def refuse_kernel(self, kernel: str) -> None:
        """torch's deterministic mode is on, and the kernel does not repeat to the bit.

        Raises:
            RuntimeError: with the words of torch, unless it only warns.
        """
        said = (
            f"{kernel} does not have a deterministic implementation, but you set "
            "'torch.use_deterministic_algorithms(True)'"
        )
        if torch.is_deterministic_algorithms_warn_only_enabled():
            warnings.warn(said, stacklevel=2)
        else:
            raise RuntimeError(said)

    @contextlib.contextmanager
    def recorded(self) -> Iterator[list[Wait]]:
        """The waits of the block, complete when it is left."""
        before, found = len(self.waits), list[Wait]()
        try:
            yield found
        finally:
            found += self.waits[before:]

    @contextlib.contextmanager
    def as_one_wait(self, what: str) -> Iterator[None]:
        """Whatever the block does is a single wait."""
        self.wait(what)
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1


def waits_text(waits: Iterable[Wait]) -> str:
    """ "2 x item (task.py:31), nonzero (loss.py:7)", the most frequent first."""
    counted = Counter(waits).most_common()
    return ", ".join(f"{f'{n} x ' if n > 1 else ''}{wait.what} ({wait.where})" for wait, n in counted)


def _storage(tensor: Tensor) -> torch.UntypedStorage | None:
    try:
        with torch._C.DisableTorchFunction():  # type: ignore[attr-defined]
            return tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):  # sparse and functional tensors have none
        return None


def _key(tensor: Tensor) -> int | None:
    storage = _storage(tensor)
    return None if storage is None else storage._cdata


def caller() -> str:
    """ "file:line" of the innermost caller outside torch and this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_SILENT):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
