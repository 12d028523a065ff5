"""SHA-256 of the files of a checkpoint, computed while they are being written."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from queue import Empty, SimpleQueue

Blocks = Iterable[bytes | memoryview]

_THREADS = 2  # a core hashes about as fast as a good disk takes bytes; more would take cores from the training

new_checksum = hashlib.sha256


class Checksums:
    """Hashes some streams of bytes, each in one thread, two at a time.

    Every stream is made a second time here, so that neither the disk nor the hashing waits for the other, and only the
    block at hand is in memory. The threads are daemons: a process that ends does not wait for them.

    Args:
        streams: by name, what makes the stream's blocks.
    """

    def __init__(self, streams: Mapping[str, Callable[[], Blocks]]) -> None:
        self._results: dict[str, Future[str]] = {name: Future() for name in streams}
        self._waiting: SimpleQueue[tuple[Future[str], Callable[[], Blocks]]] = SimpleQueue()
        self._stopped = False
        for name, stream in streams.items():
            self._waiting.put((self._results[name], stream))
        for _ in range(min(_THREADS, len(streams))):
            threading.Thread(target=self._work, name="checksum", daemon=True).start()

    def of(self, name: str) -> str:
        """Waits for the SHA-256 of a stream, in hexadecimal."""
        return self._results[name].result()

    def stop(self) -> None:
        """Nobody asks for them any more: the threads end at their next block."""
        self._stopped = True

    def _work(self) -> None:
        while not self._stopped:
            try:
                result, stream = self._waiting.get_nowait()
            except Empty:
                return
            try:
                result.set_result(self._hash(stream()))
            except BaseException as error:
                result.set_exception(error)

    def _hash(self, blocks: Blocks) -> str:
        digest = new_checksum()
        for block in blocks:
            if self._stopped:
                break
            digest.update(block)
        return digest.hexdigest()
