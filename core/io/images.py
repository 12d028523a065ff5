"""The one image reader: every task decodes through here, so that colours, orientation and errors are the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from umbel.contract.errors import DataError
from umbel.io.decoded import from_memory_or
from umbel.io.files import read_bytes, write_bytes
from umbel.io.integrity import jpeg_fault, png_fault
from umbel.io.jpeg import decode_jpeg, is_plain_jpeg, plain_jpeg_size
from umbel.io.read_trace import note_read

if TYPE_CHECKING:
    from PIL import Image

    from umbel.contract.types import Size


MAX_PIXELS = 64_000_000  # a decoder asked for more is being attacked or mistaken

READABLE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")  # no others: some of Pillow's run programs

_JPEG_SIDE = 65500  # libjpeg's limit

_SUPPORTED = "JPEG, PNG, BMP, WebP, TIFF, GIF and PPM are read"

_AGAIN = "fetch or copy the file again"

_LABEL_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


class _Header(NamedTuple):
    kind: str
    mode: str
    plain_jpeg: bool = False


def read_image(path: Path) -> np.ndarray:
    """Decode an image file.

    Alpha is dropped, 16-bit values become 8-bit, animations give their first frame.

    Returns:
        (H, W, 3) uint8 RGB, rotated as its EXIF orientation says.

    Raises:
        DataError: for anything that is not a whole image of at most 64 million pixels, naming the file.
    """
    return from_memory_or(_decode, path)


def _decode(path: Path) -> np.ndarray:
    import cv2

    data = read_bytes(path)
    note_read(path, data, is_label_map=False)
    size = plain_jpeg_size(data)
    if size and size[0] * size[1] <= MAX_PIXELS and not jpeg_fault(data) and (image := decode_jpeg(data)) is not None:
        return image
    header = _check_header(data, path)
    if header[:2] == ("TIFF", "RGBA"):
        return _decode_with_pillow(data, path)  # cv2 would multiply the colours by alpha
    fast = decode_jpeg(data) if header.plain_jpeg else None
    if fast is not None:
        return fast
    bgr = decode_bgr(data, str(path))
    rgb: np.ndarray = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)
    return rgb


def decode_bgr(data: bytes, where: str = "") -> np.ndarray:
    """Pixels of an encoded image whose header has been checked: (H, W, 3) uint8 BGR, turned upright.

    Raises:
        DataError: it cannot be decoded.
    """
    import cv2

    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # stderr would repeat the error below, without a name
    try:
        image: np.ndarray | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"cannot be decoded: {reason}", where=where, hint=_AGAIN, kind="damaged") from None
    finally:
        logging.setLogLevel(level)
    if image is None:
        raise DataError(
            "cannot be decoded: it is damaged or of an unusual kind", where=where, hint=_SUPPORTED, kind="damaged"
        )
    return image


def read_label_map(path: Path) -> np.ndarray:
    """Decode a label map: palette indices, small and 16-bit values as stored, rotated as its EXIF orientation says.

    Returns:
        (H, W) uint8, or int32 where the file has more than 8 bits a pixel.

    Raises:
        DataError: for a damaged file, colours, or a format that blurs class ids.
    """
    from PIL import ImageOps

    data = read_bytes(path)
    note_read(path, data, is_label_map=True)
    header = _check_header(data, path)
    if header.kind in ("JPEG", "MPO"):
        raise DataError(
            "is a JPEG, which changes class ids", where=str(path), hint="save label maps as PNG", kind="lossy-mask"
        )
    if header.mode not in _LABEL_MODES:
        raise DataError(
            f"has colour mode {header.mode}; a label map has one channel of class ids",
            where=str(path),
            hint="save it as a grey or palette PNG",
            kind="colour-mask",
        )
    try:
        with _open(data) as picture:
            labels = np.asarray(ImageOps.exif_transpose(picture))
    except Exception as error:  # every Pillow plugin fails in its own way
        raise DataError(
            f"cannot be decoded: {_reason(error)}", where=str(path), hint=_AGAIN, kind=_kind(error)
        ) from None
    if header[:2] == ("PNG", "L") and data[24] in (2, 4):
        labels = labels // (255 // (2 ** data[24] - 1))  # Pillow spreads 2 and 4 bits over 0..255
    return labels.astype(np.uint8 if labels.dtype in (np.uint8, np.bool_) else np.int32)


def encode_image(image: np.ndarray, suffix: str = ".png") -> bytes:
    """Encode (H, W, 3) uint8 RGB or (H, W) uint8/uint16 as PNG or JPEG (quality 92), by suffix.

    Raises:
        DataError: for a shape, type or suffix that cannot be encoded.
    """
    import cv2

    suffix = suffix.lower()
    fits = image.size and (
        (image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8)
        or (image.ndim == 2 and image.dtype in (np.uint8, np.uint16))
    )
    lossy = suffix in (".jpg", ".jpeg")
    if not fits or suffix not in (".png", ".jpg", ".jpeg") or (lossy and image.dtype != np.uint8):
        raise DataError(
            f"cannot encode an array of shape {image.shape} and type {image.dtype} as '{suffix}'",
            hint="(H, W, 3) or (H, W) uint8 go to .png and .jpg, (H, W) uint16 to .png",
        )
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    if lossy and max(image.shape[:2]) > _JPEG_SIDE:  # OpenCV would print its own error
        raise DataError(
            f"cannot encode an image of shape {image.shape} as {suffix}: a JPEG has sides of at most {_JPEG_SIDE}",
            hint="save it as .png",
        )
    ok, data = cv2.imencode(suffix, pixels, [cv2.IMWRITE_JPEG_QUALITY, 92] if lossy else [])
    if not ok:
        raise DataError(f"cannot encode an image of shape {image.shape} as {suffix}")
    encoded: bytes = data.tobytes()
    return encoded


def write_image(path: Path, image: np.ndarray) -> None:
    """Write an image or label map, whole or not at all; the suffix of `path` chooses the format."""
    write_bytes(path, encode_image(image, path.suffix))


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


def _check_header(data: bytes, path: Path) -> _Header:
    """Refuse what decoders would turn into grey halves or gigabytes: cut files and absurd sizes."""
    from PIL import Image

    if not data:
        raise DataError("is an empty file", where=str(path), hint=_AGAIN, kind="zero-bytes")
    try:
        with _open(data) as picture:
            width, height = picture.size
            header = _Header(picture.format or "", picture.mode, is_plain_jpeg(picture))
    except Image.DecompressionBombError:
        raise _too_large(f"claims more than {MAX_PIXELS:,} pixels", path) from None
    except Exception as error:  # every Pillow plugin fails in its own way
        raise DataError(
            f"is not a readable image: {_reason(error)}", where=str(path), hint=_SUPPORTED, kind="unreadable"
        ) from None
    if width * height > MAX_PIXELS:
        raise _too_large(f"is {width} x {height} pixels; the limit is {MAX_PIXELS:,}", path)
    if header.mode == "F":
        raise DataError(
            "has floating-point pixels",
            where=str(path),
            hint="save it with 8 or 16 bits a channel",
            kind="float-pixels",
        )
    fault = png_fault(data) if header.kind == "PNG" else None
    if header.kind in ("JPEG", "MPO"):
        fault = jpeg_fault(data)
    if fault:
        raise DataError(fault, where=str(path), hint=_AGAIN, kind="truncated" if "truncated" in fault else "damaged")
    return header


def _too_large(message: str, path: Path) -> DataError:
    return DataError(message, where=str(path), hint="scale it down, or cut it into tiles", kind="too-large")


def _decode_with_pillow(data: bytes, path: Path) -> np.ndarray:
    from PIL import ImageOps

    try:
        with _open(data) as picture:
            return np.array(ImageOps.exif_transpose(picture).convert("RGB"))
    except Exception as error:  # every Pillow plugin fails in its own way
        raise DataError(
            f"cannot be decoded: {_reason(error)}", where=str(path), hint=_AGAIN, kind=_kind(error)
        ) from None


@contextmanager
def _open(data: bytes) -> Iterator[Image.Image]:
    """The picture by Pillow, without its warnings about odd metadata and sizes that are checked here."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(io.BytesIO(data), formats=READABLE_FORMATS) as picture:
            yield picture


def _reason(error: Exception) -> str:
    return str(error).split("<")[0].strip() or type(error).__name__


def _kind(error: Exception) -> str:
    return "truncated" if "truncated" in str(error) else "damaged"
