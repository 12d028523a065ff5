"""Image files on their way to a model: read ahead of it, each as an image or as why it is none."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from umbel.contract.errors import DataError
from umbel.contract.types import LARGE
from umbel.data.read_ahead import read_ahead
from umbel.io.images import read_image
from umbel.predict.exhaustion import MEMORY


def read_files(files: Sequence[Path], ahead: int) -> Generator[tuple[Path, np.ndarray | DataError], None, None]:
    """Each file with its image, (H, W, 3) uint8, or the error of one that cannot be read, in order.

    Args:
        files: image files.
        ahead: images that are read ahead by a thread; 0 reads each when it is asked for.
    """
    with closing(read_ahead(_read, files, ahead, _is_large)) as images:
        yield from zip(files, images, strict=True)


def is_large(image: np.ndarray) -> bool:
    """Whether (H, W, 3) is so large that no other should be in memory beside it."""
    return bool(image.shape[0] * image.shape[1] > LARGE)


def _read(file: Path) -> np.ndarray | DataError:
    try:
        return read_image(file)
    except MemoryError:
        return DataError("takes more memory than there is", where=str(file), hint="scale it down", kind=MEMORY)
    except DataError as error:
        return error


def _is_large(image: np.ndarray | DataError) -> bool:
    return not isinstance(image, DataError) and is_large(image)
