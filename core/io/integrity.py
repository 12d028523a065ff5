"""Is an encoded image whole? Decoders fill what is missing with grey and say nothing."""

from __future__ import annotations

import re
import zlib

# In JPEG's entropy-coded data FF 00 is a plain byte and FF D0..D7 a restart: neither ends a scan.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")

_BARE = (0x01, 0xD8)  # markers without a length

_SCAN, _END = 0xDA, 0xD9

_MOST_SCANS = 100  # encoders write about ten; each costs a pass over all pixels, and may be a few bytes long


def jpeg_fault(data: bytes) -> str | None:
    """What is wrong with a JPEG's markers: no scan, no end marker of its own, or more scans than any encoder writes.

    The end of an embedded thumbnail does not count, bytes after the end neither. Flipped bits inside a scan pass: the
    format has no checksum.
    """
    position, scans = 2, 0
    while found := _MARKER.search(data, position):
        marker, position = data[found.start() + 1], found.end()
        if marker == _END and scans:
            return None
        if marker == _END:
            break
        if marker not in _BARE:
            position += int.from_bytes(data[position : position + 2], "big")
            scans += marker == _SCAN
        if scans > _MOST_SCANS:
            return f"is damaged: it has more than {_MOST_SCANS} scans"
    return "is truncated: its end is missing"


def png_fault(data: bytes) -> str | None:
    """What is wrong with a PNG's chunks: cut short, or a checksum of pixels, palette or header that fails."""
    position = 8
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        end = position + 12 + length
        if end > len(data):
            break
        critical = kind[:1].isupper()
        if critical and zlib.crc32(data[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            return f"is damaged: the checksum of a chunk {kind.decode('ascii', 'replace')} fails"
        if kind == b"IEND":
            return None
        position = end
    return "is truncated: its end is missing"
