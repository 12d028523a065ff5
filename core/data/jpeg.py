"""JPEG by the fastest decoder there is, where it is sure to give what OpenCV gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

try:
    import simplejpeg
except ImportError:  # no wheel for this platform: OpenCV decodes, to the same pixels
    simplejpeg = None

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112
_UPRIGHT = 1


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
