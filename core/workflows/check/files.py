"""A close look at one image file: whole, decoded by two decoders, and what readers quietly change about it."""

from __future__ import annotations

import io
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from umbel.contract.dataset_report import Finding
from umbel.contract.errors import UmbelError
from umbel.io.images import READABLE_FORMATS, decode_bgr
from umbel.io.read_trace import ImageRead

if TYPE_CHECKING:
    from PIL import Image


_JPEG_COMPLAINT = re.compile(r"(Corrupt JPEG data|Premature end)[^\n]*")

_TURNED = {2: "mirrored", 3: "by 180 degrees", 4: "upside down", 5: "mirrored and by 90 degrees",
           6: "by 90 degrees", 7: "mirrored and by 270 degrees", 8: "by 270 degrees"}  # fmt: skip

_SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"), "MPO": (".jpg", ".jpeg", ".mpo"), "PNG": (".png", ".apng"),
    "BMP": (".bmp", ".dib"), "WEBP": (".webp",), "TIFF": (".tif", ".tiff"), "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}  # fmt: skip

_TINY = 8

_ORIENTATION, _BITS_PER_SAMPLE = 0x0112, 258


def inspect_file(read: ImageRead, *, decodes: bool) -> tuple[list[Finding], np.ndarray | None]:
    """All that is odd about an image file, and the pixels of an image, (H, W, 3) uint8; None for a label map.

    Args:
        read: the file, as a task read it.
        decodes: whether umbel's own reader took it; what it refused is named already, and has no pixels.
    """
    from PIL import Image

    found: list[Finding] = []

    def report(kind: str, severity: str, message: str, remedy: str) -> None:
        found.append(Finding(kind, str(read.path), message, remedy, severity))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(read.data), formats=READABLE_FORMATS) as picture:
                _inspect_header(picture, read, report)
                if decodes:
                    try:
                        picture.load()
                        _inspect_pixels(picture, report)
                    except Exception as error:  # every Pillow plugin fails in its own way
                        cut = "truncated" in str(error).lower() or "incomplete" in str(error).lower()
                        kind = "truncated" if cut else "damaged"
                        report(kind, "error", f"is {kind}: {str(error).split('<')[0].strip()}", "fetch it again")
    except Exception as error:  # umbel's reader refuses these too
        if decodes:
            report("unreadable", "error", f"is not a readable image: {type(error).__name__}", "fetch it again")
        return found, None
    if not decodes or read.is_label_map:
        return found, None
    pixels, complaint = _decode_listening(read.data)
    if complaint and not any(f.kind in ("truncated", "damaged") for f in found):
        severity = "warning" if "extraneous bytes" in complaint else "error"
        report("damaged", severity, f"has damaged pixels: {complaint}", "fetch or copy the file again")
    return found, pixels


def _inspect_header(picture: Image.Image, read: ImageRead, report: Callable[[str, str, str, str], None]) -> None:
    kind = picture.format or ""
    turned = _TURNED.get(_orientation(picture))
    if turned:
        report("rotated", "warning", f"is turned when read ({turned}), as its EXIF orientation says",
               "make sure the labels were drawn on the turned image, or store it upright without the tag")  # fmt: skip
    if _has_16_bits(picture, read.data):
        report("16-bit", "note" if read.is_label_map else "warning",
               "has 16 bits a channel" + ("" if read.is_label_map else ", of which the upper 8 are used"),
               "scale it to 8 bits yourself, to keep the range that matters")  # fmt: skip
    if picture.mode in ("P", "PA"):
        report("palette", "note" if read.is_label_map else "warning",
               "has a palette" + (": its indices are the labels" if read.is_label_map else " of at most 256 colours"),
               "make sure the indices are class ids" if read.is_label_map else "use the original in full colour",
               )  # fmt: skip
    if kind != "MPO" and getattr(picture, "n_frames", 1) > 1:
        frames = getattr(picture, "n_frames", 1)
        report("animated", "warning", f"has {frames} frames; the first is used", "store the one that is meant")
    suffix = read.path.suffix.lower()
    if suffix and suffix not in _SUFFIXES.get(kind, (suffix,)):
        report("suffix", "note", f"is a {kind} file", "rename it")
    if min(picture.size) < _TINY:
        report("tiny", "note", f"is {picture.size[0]} x {picture.size[1]} pixels", "leave it out if it shows nothing")


def _inspect_pixels(picture: Image.Image, report: Callable[[str, str, str, str], None]) -> None:
    if picture.mode in ("RGBA", "LA", "PA") and np.asarray(picture.getchannel("A")).min() < 255:
        report("alpha", "note", "is transparent in places; the colours behind are used", "flatten it on a background")


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken metadata turns nothing
        return 1


def _has_16_bits(picture: Image.Image, data: bytes) -> bool:
    if picture.format == "PNG":
        return data[24] == 16
    if picture.format == "TIFF":
        bits = picture.tag_v2.get(_BITS_PER_SAMPLE, (8,))  # type: ignore[attr-defined]
        return bool(max(bits if isinstance(bits, tuple) else (bits,)) > 8)
    return picture.mode.startswith("I")


def _decode_listening(data: bytes) -> tuple[np.ndarray | None, str]:
    """The pixels, and what libjpeg prints about broken ones; it decodes them all the same."""
    try:
        with _captured_stderr() as lines:
            pixels = decode_bgr(data)
    except UmbelError:  # of a kind that only Pillow reads
        return None, ""
    found = _JPEG_COMPLAINT.search(lines())
    return pixels, found[0].strip() if found else ""


@contextmanager
def _captured_stderr() -> Iterator[Callable[[], str]]:
    """What C code writes to the process's standard error: the only place where libjpeg says it."""
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        text = ""

        def lines() -> str:
            return text

        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            text = file.read(65536).decode("utf-8", "replace")
