"""Sound images and masks of many encodings: nothing about them is worth more than a note."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from corpus.tree import picture
from PIL import Image, PngImagePlugin

SIZES = ((40, 56), (33, 71), (8, 8), (9, 300), (257, 13), (64, 64), (101, 99))
UPRIGHT = Image.Exif()
UPRIGHT[0x0112] = 1
ODD = Image.Exif()
ODD[0x0112] = 77  # no such orientation: nothing is turned
TEXT = PngImagePlugin.PngInfo()
TEXT.add_text("comment", "fine")

ENCODINGS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    *(("RGB", "JPEG", ".jpg", {"quality": q, "subsampling": s}) for q in (40, 75, 95) for s in (0, 1, 2)),
    ("RGB", "JPEG", ".jpg", {"progressive": True}),
    ("RGB", "JPEG", ".JPG", {"optimize": True}),
    ("RGB", "JPEG", ".jpeg", {"exif": UPRIGHT}),
    ("RGB", "JPEG", ".jpg", {"exif": ODD}),
    ("RGB", "JPEG", ".jpg", {"comment": b"\xff\xd9 in a comment"}),
    ("RGB", "JPEG", ".jpg", {"restart_marker_blocks": 3}),
    ("L", "JPEG", ".jpg", {}),
    ("L", "JPEG", ".jpg", {"progressive": True}),
    ("CMYK", "JPEG", ".jpg", {}),
    ("RGB", "PNG", ".png", {"compress_level": 1}),
    ("RGB", "PNG", ".PNG", {"compress_level": 9, "pnginfo": TEXT}),
    ("RGB", "PNG", ".jpg", {}),
    ("L", "PNG", ".png", {}),
    ("LA", "PNG", ".png", {}),
    ("RGBA", "PNG", ".png", {}),
    ("1", "PNG", ".png", {}),
    ("RGB", "BMP", ".bmp", {}),
    ("L", "BMP", ".bmp", {}),
    ("RGB", "WEBP", ".webp", {"quality": 80}),
    ("RGB", "WEBP", ".webp", {"lossless": True}),
    ("RGBA", "WEBP", ".webp", {}),
    *(("RGB", "TIFF", ".tif", {"compression": c}) for c in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits")),
    ("L", "TIFF", ".tiff", {}),
    ("RGB", "PPM", ".ppm", {}),
)
NAMES = ("{}", "with space {}", "ünïcode-{}", "日本-{}", "semi;colon,{}", "'quote'-{}", "per%cent-{}")


def write_good_images(folder: Path, count: int) -> Iterator[Path]:
    """Write `count` images, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        mode, kind, suffix, options = ENCODINGS[k % len(ENCODINGS)]
        height, width = SIZES[k // len(ENCODINGS) % len(SIZES)]
        path = folder / (NAMES[k % len(NAMES)].format(k) + suffix)
        image = Image.fromarray(picture("good", k, height=height, width=width)).convert(mode)
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        data = buffer.getvalue()
        if k % 5 == 4 and kind == "JPEG":
            data += b"\0 camera makers write on behind the end"
        path.write_bytes(data)
        yield path
    raw = os.path.join(os.fsencode(folder), b"caf\xe9.jpg")  # a name that is not UTF-8
    with open(raw, "wb") as file:
        Image.fromarray(picture("good", "raw name")).save(file, "JPEG")
    yield Path(os.fsdecode(raw))


def mask_bytes(labels: np.ndarray, variant: int) -> tuple[bytes, str]:
    """A label map of 0 and 1 in one of several ways to store it, and its suffix."""
    buffer = io.BytesIO()
    suffix, kind = (".png", "PNG") if variant % 6 != 5 else (".tif", "TIFF")
    if variant % 6 == 1:
        image = Image.fromarray(labels, "P")
        image.putpalette(bytes([128, 64, 128, 70, 130, 180]) + bytes(762))
    elif variant % 6 == 2:
        image = Image.fromarray(labels.astype(np.uint16))
    elif variant % 6 == 3:
        image = Image.fromarray(labels.astype(bool))
    elif variant % 6 in (4, 5):
        image = Image.fromarray(labels.astype(np.int32) if suffix == ".tif" else labels)
    else:
        image = Image.fromarray(labels)
    options = {"bits": 4} if variant % 12 == 7 else {}
    image.save(buffer, kind, **options)
    return buffer.getvalue(), suffix
