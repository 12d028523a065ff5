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
    """

    def __init__(self) -> None:
        self.waits: list[Wait] = []
        self.creating = False
        self.backward = 0
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
        self._storages[storage._cdata] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
        if len(self._storages) % _PRUNE_EVERY == 0:
            dead = [key for key, reference in self._storages.items() if reference.expired()]  # type: ignore[no-untyped-call]
            for key in dead:
                del self._storages[key]

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


def caller() -> str:
    """ "file:line" of the innermost caller outside torch and this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_SILENT):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
