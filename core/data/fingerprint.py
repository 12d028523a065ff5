"""What a data set is known by: ids, labels, sizes and times of its files, and some of their content.

Legend: N samples, K of them whose files are looked at, M of these whose files are read.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from umbel.contract.defaults import sources_of
from umbel.contract.errors import DataError, UmbelError
from umbel.contract.randomness import keyed_generator
from umbel.contract.task import Task
from umbel.contract.types import Sample, Source
from umbel.data.datasets import HoldoutSubset, dataset_length
from umbel.data.statistics import evenly_spaced
from umbel.io.error_collection import defer_errors
from umbel.io.read_trace import trace_opened

MOST_LOOKED_AT = 100_000  # samples whose files are asked for size and time; of more, a keyed choice

MOST_BYTES = 128 * 2**20  # files that are together no larger, and of no more samples than the next, are read whole

MOST_SMALL = 5_000

MOST_READ = 128  # else a keyed choice of so many samples is read

_WHOLE = 4 * 2**20  # bytes: of a larger file, what is read is its beginning and its end

_PROBED = 3  # samples that are read of a data set that cannot name its sources

_CHUNK = 65_536

_SEPARATOR = "\0"

Redact = Callable[[str], str]


def _none(kind: type[np.generic]) -> Any:
    return field(default_factory=lambda: np.zeros(0, kind))


@dataclass(frozen=True)
class Fingerprint:
    """What is remembered of a data set.

    Args:
        samples: N.
        digest: of all ids in order; "" where they are not known.
        ids: uint8, the ids as `pack` leaves them.
        labels_N: uint32, a checksum of each label.
        looked_at_K: int64, ascending indices.
        sizes_K: uint32, a checksum of the sizes of each sample's files.
        times_K: uint32, the same of when they were last changed.
        read_M: int64, ascending indices.
        contents_M: uint64, a hash of what was read.
        notes: what else is known, such as the hash of an annotation file, by what it is of.
    """

    samples: int
    digest: str = ""
    ids: np.ndarray = _none(np.uint8)
    labels_N: np.ndarray = _none(np.uint32)
    looked_at_K: np.ndarray = _none(np.int64)
    sizes_K: np.ndarray = _none(np.uint32)
    times_K: np.ndarray = _none(np.uint32)
    read_M: np.ndarray = _none(np.int64)
    contents_M: np.ndarray = _none(np.uint64)
    notes: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """The ids, N of them; none where they are not known."""
        text = zlib.decompress(self.ids.tobytes()).decode("utf-8", "surrogatepass") if self.ids.size else ""
        return text.split(_SEPARATOR)[:-1]


def take_fingerprint(
    task: Task[Any], dataset: Dataset[Sample], split: str, redact: Redact = str, *, defer: bool = False
) -> Fingerprint:
    """What a data set of a task is known by; of a part that `holdout` made, the whole.

    Args:
        task: the task.
        dataset: its data.
        split: which.
        redact: of ids and names of files, what may be written down.
        defer: faults of single samples are nobody's business now.

    Raises:
        DataError: `sources` of the task fails, or does not name every sample.
    """
    whole = dataset.dataset if task.config.holdout and isinstance(dataset, HoldoutSubset) else dataset
    where = f"tasks.{task.name}: sources()"
    try:
        sources = sources_of(task, whole)
        if sources is not None:
            return _of_sources(sources, dataset_length(whole), where, redact)
        return _of_opening(task, whole, split, redact, defer=defer)
    except UmbelError:
        raise
    except Exception as error:
        raise DataError(f"failed: {type(error).__name__}: {error}", where=where, kind="defect") from error


def _of_sources(sources: Iterable[Source], samples: int, where: str, redact: Redact) -> Fingerprint:
    looked_at = _choice("looked at", samples, MOST_LOOKED_AT)
    files: list[Sequence[Any]] = []
    labels_N = np.zeros(samples, np.uint32)
    packer, digest, count = zlib.compressobj(1), hashlib.blake2b(digest_size=16), 0
    packed = bytearray()
    for chunk in _chunks(iter(sources)):
        text = redact("".join(f"{source.id}{_SEPARATOR}" for source in chunk)).encode("utf-8", "surrogatepass")
        digest.update(text)
        packed += packer.compress(text)
        if count + len(chunk) <= samples:
            labels_N[count : count + len(chunk)] = [_checksum(source.label) for source in chunk]
        first, last = np.searchsorted(looked_at, (count, count + len(chunk)))
        files += [chunk[index - count].files for index in looked_at[first:last]]
        count += len(chunk)
    if count != samples:
        raise DataError(f"names {count} for {samples} samples", where=where, kind="defect")
    stats = [[_stat(path) for path in of_sample] for of_sample in files]
    total = sum(max(0, size) for of_sample in stats for size, _ in of_sample)
    small = samples <= MOST_SMALL and total <= MOST_BYTES
    chosen = np.arange(len(files)) if small else _choice("read", len(files), MOST_READ)
    return Fingerprint(
        samples=samples,
        digest=digest.hexdigest(),
        ids=np.frombuffer(bytes(packed + packer.flush()), np.uint8),
        labels_N=labels_N,
        looked_at_K=looked_at,
        sizes_K=np.array([_checksum(tuple(size for size, _ in of_sample)) for of_sample in stats], np.uint32),
        times_K=np.array([_checksum(tuple(time for _, time in of_sample)) for of_sample in stats], np.uint32),
        read_M=looked_at[chosen],
        contents_M=np.array([_content(files[index]) for index in chosen], np.uint64),
    )


def _of_opening(task: Task[Any], dataset: Dataset[Sample], split: str, redact: Redact, *, defer: bool) -> Fingerprint:
    """What is known of a data set that does not name its sources: the files it opens, and a few samples."""
    samples = dataset_length(dataset)
    fresh = type(task)(task.name, task.config, task.options)  # it may have kept what it read
    with trace_opened() as opened, defer_errors() if defer else nullcontext(), suppress(Exception):
        fresh.dataset("train" if task.config.holdout else split)  # it was opened once: what fails now tells nothing
    notes = {redact(str(path)): found for path, found in opened.items()}
    for index in evenly_spaced(samples, _PROBED):
        first, again = (_probe(dataset, index) for _ in range(2))
        notes[f"sample {index}"] = first if first == again else "is read differently every time"
    return Fingerprint(samples, notes=notes)


def _probe(dataset: Dataset[Sample], index: int) -> str:
    try:
        sample = dataset[index]
        content = (str(sample.id), tuple(map(int, sample.size)), sample.image, sample.target)
        return hashlib.blake2b(b"".join(_canonical(content)), digest_size=8).hexdigest()
    except Exception as error:  # training will say so, or replace it
        return f"cannot be read: {type(error).__name__}"


def _chunks(sources: Iterator[Source]) -> Iterator[list[Source]]:
    while chunk := list(islice(sources, _CHUNK)):
        yield chunk


def _choice(what: str, length: int, most: int) -> np.ndarray:
    """Ascending indices: all, or a choice that is a function of the length alone."""
    if length <= most:
        return np.arange(length)
    return np.sort(keyed_generator("fingerprint", what, length).choice(length, most, replace=False))


def _stat(path: Any) -> tuple[int, int]:
    """Size and time of change of a file; -1 and 0 where it has none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return -1, 0
    return found.st_size, found.st_mtime_ns


def _content(paths: Sequence[Any]) -> int:
    digest = hashlib.blake2b(digest_size=8)
    for path in paths:
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                continue
            with open(path, "rb") as file:
                digest.update(file.read(_WHOLE // 2))
                size = os.fstat(file.fileno()).st_size
                file.seek(max(_WHOLE // 2, size - _WHOLE // 2))
                digest.update(file.read(_WHOLE // 2))
        except (OSError, ValueError):
            digest.update(b"unreadable")
    return int.from_bytes(digest.digest(), "little")


def _checksum(label: Any) -> int:
    if label is None:
        return 0
    checksum = 0
    for part in _canonical(label):
        checksum = zlib.crc32(part, checksum)
    return checksum


def _canonical(value: Any) -> Iterator[bytes]:
    """The same bytes for the same value, in any process."""
    if value is None or isinstance(value, (bool, int, float, str)):
        yield f"{value!r};".encode("utf-8", "surrogatepass")
    elif isinstance(value, (list, tuple)):
        yield b"("
        for item in value:
            yield from _canonical(item)
        yield b")"
    elif isinstance(value, Mapping):
        yield b"{"
        for key in sorted(value, key=str):
            yield from _canonical(key)
            yield from _canonical(value[key])
        yield b"}"
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__.encode()
        yield from _canonical([getattr(value, one.name) for one in fields(value)])
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype.str}{value.shape}".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif hasattr(value, "tolist"):  # tensors, and numbers of numpy
        yield from _canonical(value.tolist())
    else:
        yield type(value).__name__.encode()
