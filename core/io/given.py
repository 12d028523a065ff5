"""Images that a program hands over instead of a file: Pillow images and arrays, as `read_image` would give them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from umbel.contract.errors import DataError
from umbel.io.images import MAX_PIXELS, read_image

_PLAIN_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV")

_KINDS = "give a path, a Pillow image, an array, or a list of them"

_PLAIN_ARRAY = "expected (H, W, 3) uint8 RGB"


def load_image(source: Any) -> np.ndarray:
    """(H, W, 3) uint8 RGB from an image file's path, a Pillow image or such an array.

    A Pillow image gives the pixels that its file would: turned upright, alpha dropped, of 16 bits the upper 8.

    Raises:
        DataError: it is none of these, or cannot be read; says how to convert it.
    """
    if isinstance(source, (str, Path)):
        return read_image(Path(source))
    if hasattr(source, "getexif"):  # a Pillow image; importing Pillow to ask would be dearer
        return _from_pillow(source)
    if not isinstance(source, np.ndarray):
        hint = "give tensor.permute(1, 2, 0).cpu().numpy(), uint8 RGB" if hasattr(source, "detach") else _KINDS
        raise DataError(f"cannot predict a {type(source).__name__}", hint=hint)
    if source.ndim != 3 or source.shape[-1] != 3 or source.dtype != np.uint8 or not source.size:
        raise DataError(
            f"image has shape {source.shape} and type {source.dtype}; {_PLAIN_ARRAY}", hint=_array_hint(source)
        )
    _refuse_large(source.shape[1], source.shape[0], "")
    return source


def source_name(source: Any) -> str:
    """What a result calls where it comes from: a path, else nothing."""
    return str(source) if isinstance(source, (str, Path)) else str(getattr(source, "filename", "") or "")


def _from_pillow(picture: Any) -> np.ndarray:
    from PIL import ImageOps

    name, mode = source_name(picture), picture.mode
    _refuse_large(picture.width, picture.height, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata, transparency in bytes
            upright = ImageOps.exif_transpose(picture)
            if mode in _PLAIN_MODES:
                return np.array(upright.convert("RGB"))
            if mode == "RGBa":
                return np.array(upright.convert("RGBA").convert("RGB"))
            values = np.asarray(upright)
    except Exception as error:  # every Pillow plugin fails in its own way
        raise DataError(f"cannot be decoded: {error or type(error).__name__}", where=name or "a Pillow image") from None
    if mode.startswith("I;16") or (mode == "I" and picture.format == "PNG"):  # older Pillow calls 16-bit PNG so
        grey = (values >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    raise DataError(
        f"Pillow image has mode {mode}, whose range of values is not known",
        where=name,
        hint='scale it to 0..255 and convert it to mode "RGB" or "L"',
    )


def _refuse_large(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"is {width} x {height} pixels; the limit is {MAX_PIXELS:,}",
            where=name or "image",
            hint="scale it down, or cut it into tiles",
            kind="too-large",
        )


def _array_hint(array: np.ndarray) -> str:
    """How to make the expected array of one that is not."""
    if not array.size:
        return "it has no pixel"
    if array.ndim == 4:
        return "give a list of images"
    if array.ndim == 2:
        return "of a grey image give numpy.dstack([image] * 3)"
    if array.ndim == 3 and array.shape[-1] in (1, 4):
        return "numpy.repeat(image, 3, axis=2)" if array.shape[-1] == 1 else "drop alpha: image[..., :3]"
    if array.ndim == 3 and array.shape[-1] != 3:
        return "channels come last: image.transpose(1, 2, 0)" if array.shape[0] == 3 else ""
    if array.dtype == np.uint16:
        return "of 16 bits give the upper 8: (image >> 8).astype(numpy.uint8)"
    if array.dtype.kind == "f":
        ends_at_one = bool(np.nanmax(array) <= 1)
        return "scale it: (image * 255).round().astype(numpy.uint8)" if ends_at_one else "image.astype(numpy.uint8)"
    return "scale it to 0..255: astype(numpy.uint8)"
