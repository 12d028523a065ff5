"""JPEG by the fastest decoder there is, where it is sure to give what OpenCV gives."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

    from umbel.contract.types import Size


try:
    import simplejpeg
except ImportError:  # no wheel for this platform: OpenCV decodes, to the same pixels
    simplejpeg = None

_ORIENTATION = 0x0112

_UPRIGHT = 1

# second bytes of markers (ITU-T T.81, table B.1)
_SCAN = 0xDA

_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, with Huffman's code

_TURNS = 0xE1  # Exif and XMP

_SEVERAL = 0xE2  # several pictures, or a colour profile

_HARMLESS = (0xDB, 0xC4, 0xDD, 0xFE, *range(0xE0, 0xF0))  # tables, restarts, comments, applications' own


def plain_jpeg_size(data: bytes) -> Size | None:
    """Height and width of a grey or colour JPEG that is stored upright, where its markers alone leave no doubt.

    None for everything else, which `is_plain_jpeg` looks at more closely: that takes ten times as long.
    """
    size: Size | None = None
    position = 2 if data.startswith(b"\xff\xd8\xff") else len(data)
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, start = data[position + 1], position + 4
        position += 2 + int.from_bytes(data[position + 2 : start], "big")
        if position > len(data):
            return None
        if marker == _SCAN:
            return size
        if marker in _FRAMES and size is None and position - start >= 6:
            bits, height, width, components = struct.unpack_from(">BHHB", data[start:position])
            if bits != 8 or components not in (1, 3) or not height * width:
                return None
            size = (height, width)
        elif marker not in _HARMLESS or marker == _TURNS or (marker == _SEVERAL and data.startswith(b"MPF", start)):
            return None
    return None


def is_plain_jpeg(picture: Image.Image) -> bool:
    """Whether a picture opened by Pillow is a grey or colour JPEG that is stored upright, beyond doubt."""
    if picture.format != "JPEG" or picture.mode not in ("RGB", "L"):
        return False
    applications: list[tuple[str, bytes]] = getattr(picture, "applist", [])
    if all(marker != "APP1" for marker, _ in applications):
        return True  # nothing that could turn it
    upright: bool = picture.getexif().get(_ORIENTATION) == _UPRIGHT
    return upright


def decode_jpeg(data: bytes) -> np.ndarray | None:
    """Pixels of a plain JPEG whose header has been checked: (H, W, 3) uint8 RGB, those of `cv2.imdecode` to the bit.

    None where the decoder has a complaint, or is not installed: OpenCV is to be asked.
    """
    if simplejpeg is None:
        return None
    try:
        image: np.ndarray = simplejpeg.decode_jpeg(data)
    except ValueError:
        return None
    return image
