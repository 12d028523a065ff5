"""The one image reader: every task decodes through here, so that colours, orientation and errors are the same."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from umbel.data.files import read_bytes
from umbel.errors import DataError

if TYPE_CHECKING:
    from umbel.types import Size

MAX_PIXELS = 64_000_000  # a decoder asked for more is being attacked or mistaken
_SUPPORTED = "JPEG, PNG, BMP, WebP and TIFF are read"


def read_image(path: Path) -> np.ndarray:
    """Decode an image file.

    Returns:
        (H, W, 3) uint8 RGB, rotated as its EXIF orientation says.

    Raises:
        DataError: for anything that is not a whole image of at most 64 million pixels, naming the file.
    """
    import cv2

    data = read_bytes(path)
    _check_header(data, path)
    flags = cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise DataError(f"cannot be decoded: {str(error).splitlines()[0]}", where=str(path)) from None
    if image is None:
        raise DataError("is not a readable image", where=str(path), hint=_SUPPORTED)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_label_map(path: Path) -> np.ndarray:
    """Decode a label map: (H, W) integers, palette indices and 16-bit values as stored, without colour conversion."""
    from PIL import Image

    data = read_bytes(path)
    _check_header(data, path)
    try:
        with Image.open(io.BytesIO(data)) as picture:
            if picture.mode == "1":
                picture = picture.convert("L")
            if picture.mode not in ("L", "P", "I", "I;16", "I;16B", "I;16L"):
                raise DataError(
                    f"has colour mode {picture.mode}; a label map has one channel of class ids",
                    where=str(path),
                    hint="save it as a grey or palette PNG",
                )
            labels = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"cannot be decoded: {error}", where=str(path)) from None
    return labels.astype(np.int32) if labels.dtype != np.uint8 else labels


def encode_image(image: np.ndarray, suffix: str = ".png") -> bytes:
    """Encode (H, W, 3) uint8 RGB or (H, W) uint8/uint16 as PNG or JPEG (quality 92)."""
    import cv2

    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    ok, data = cv2.imencode(suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, 92] if suffix == ".jpg" else [])
    if not ok:
        raise DataError(f"cannot encode an image of shape {image.shape} as {suffix}")
    encoded: bytes = data.tobytes()
    return encoded


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image or label map; the suffix of `path` chooses the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_image(image, path.suffix))


def resize_image(image: np.ndarray, size: Size, interpolation: str = "bilinear") -> np.ndarray:
    """Resize (H, W, 3) uint8 to a (height, width): "bilinear", "bicubic" or "nearest", half-pixel centres."""
    import cv2

    modes: dict[str, Any] = {
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
        "nearest": cv2.INTER_NEAREST_EXACT,
    }
    if image.shape[:2] == tuple(size):
        return image
    resized: np.ndarray = cv2.resize(image, (size[1], size[0]), interpolation=modes[interpolation])
    return resized


def _check_header(data: bytes, path: Path) -> None:
    """Refuse what decoders would turn into grey halves or gigabytes: cut files and absurd sizes."""
    from PIL import Image

    if not data:
        raise DataError("is an empty file", where=str(path))
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            kind = picture.format
    except Image.DecompressionBombError:
        raise DataError(f"claims more than {MAX_PIXELS:,} pixels", where=str(path)) from None
    except (OSError, SyntaxError, ValueError) as error:
        reason = str(error).split("<")[0].strip()
        raise DataError(f"is not a readable image: {reason}", where=str(path), hint=_SUPPORTED) from None
    if width * height > MAX_PIXELS:
        raise DataError(f"is {width} x {height} pixels; the limit is {MAX_PIXELS:,}", where=str(path))
    if (kind == "JPEG" and b"\xff\xd9" not in data[-4096:]) or (kind == "PNG" and b"IEND" not in data[-4096:]):
        raise DataError("is truncated: its end is missing", where=str(path), hint="fetch or copy the file again")
