"""What the container of a video says about its length: whether bytes are missing, and whether it counts its frames.

Decoders end at the first byte that is not there and say nothing. Read are the outermost sizes of AVI, MP4 and Matroska.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_LARGEST_INDEX = 64 * 2**20  # bytes of an MP4 index that is looked into

_UNKNOWN_RIFF = (0, 0xFFFFFFFF)  # written by recorders that never came back to fill it in

_SEGMENT = 0x18538067  # of Matroska and WebM


def is_cut_short(path: Path) -> bool:
    """Whether the file ends before its container says."""
    length = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFF":
            return _riff_end(file, length) > length
        if start[:4] == b"\x1a\x45\xdf\xa3":
            return _matroska_end(file) > length
        if start[4:8] == b"ftyp":
            return any(at + size > length for _, at, size in _boxes(file, length))
    return False


def counts_frames(path: Path) -> bool:
    """Whether the file states its number of frames and shows them all; elsewhere the number is a guess."""
    length = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[:4] == b"RIFF":
            return True
        if start[4:8] != b"ftyp":
            return False
        for kind, at, size in _boxes(file, length):
            if kind == b"moov" and size <= _LARGEST_INDEX:
                file.seek(at)
                index = file.read(size)
                return b"mvex" not in index and not _is_trimmed(index)  # of fragments each has a count of its own
    return False


def _riff_end(file: BinaryIO, length: int) -> int:
    at = 0
    while at + 8 <= length:
        file.seek(at)
        head = file.read(8)
        size = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or size in _UNKNOWN_RIFF:
            break
        at += 8 + size + size % 2
    return at if at <= length else at - at % 2


def _boxes(file: BinaryIO, length: int) -> list[tuple[bytes, int, int]]:
    """Kind, place and size of the outermost boxes of an MP4; ends at what is none."""
    found, at = [], 0
    while at + 8 <= length:
        file.seek(at)
        head = file.read(16)
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:16], "big")
        if size < 8 or not (kind.isalnum() and kind.isascii()):  # 0 reaches to the end, whatever that is
            break
        found.append((kind, at, size))
        at += size
    return found


def _is_trimmed(index: bytes) -> bool:
    """Whether an edit list leaves frames of a track out, as phones do when a film is shortened."""
    at = index.find(b"elst")
    while at >= 0:
        wide = index[at + 4] == 1
        count, step = int.from_bytes(index[at + 8 : at + 12], "big"), 20 if wide else 12
        field = 8 if wide else 4
        shown = sum(
            int.from_bytes(index[at + 12 + k * step : at + 12 + k * step + field], "big") for k in range(min(count, 64))
        )
        movie, media = _duration(index, b"mvhd", 0), _duration(index, b"mdhd", at)
        if movie and media and shown / movie[0] < media[1] / media[0] * 0.98 - 0.1:
            return True
        at = index.find(b"elst", at + 4)
    return False


def _duration(index: bytes, kind: bytes, start: int) -> tuple[int, int] | None:
    """Ticks a second and ticks of the next header of this kind."""
    at = index.find(kind, start)
    if at < 0:
        return None
    skip, wide = (24, 8) if index[at + 4] == 1 else (16, 4)
    rate = int.from_bytes(index[at + skip : at + skip + 4], "big")
    return (rate, int.from_bytes(index[at + skip + 4 : at + skip + 4 + wide], "big")) if rate else None


def _matroska_end(file: BinaryIO) -> int:
    """The end of the segment; 0 where it is open."""
    file.seek(4)
    header = _vint(file)
    if header is None:
        return 0
    file.seek(header, 1)
    if int.from_bytes(file.read(4), "big") != _SEGMENT:
        return 0
    size = _vint(file)
    return 0 if size is None else file.tell() + size


def _vint(file: BinaryIO) -> int | None:
    """A size of EBML, whose leading zero bits say how long it is; None for "not known"."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + file.read(more), "big")
    return None if value == 2 ** (7 * (more + 1)) - 1 else value
