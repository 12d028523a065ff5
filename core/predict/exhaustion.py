"""Memory that runs out while an image is predicted, as an error that names the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from umbel.contract.errors import DataError
from umbel.io.shortage import is_out_of_memory

MEMORY = "memory"  # kind of the error


@contextmanager
def naming_exhaustion(images: Sequence[np.ndarray], sources: Sequence[str]) -> Iterator[None]:
    """Within it a MemoryError of Python, NumPy, torch or OpenCV becomes a DataError of kind "memory".

    Args:
        images: (H, W, 3) each, what is predicted.
        sources: the name of each.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        largest = max(images, key=lambda image: image.size)
        shape = f"{largest.shape[1]} x {largest.shape[0]} pixels"
        what = shape if len(images) == 1 else f"{len(images)} images of up to {shape}"
        raise DataError(
            f"takes more memory than there is: {what}",
            where=", ".join(filter(None, sources)),
            hint="show it smaller, by --size H W or the task's test_size; fewer images in a pass (--batch) help",
            kind=MEMORY,
        ) from None
