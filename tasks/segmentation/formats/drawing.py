"""Label maps drawn from outlines: areas that are filled, and lines of a stated width."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from umbel import Size

_BITS = 4  # of OpenCV's fixed-point coordinates: sixteenths of a pixel

_FRAME = 2  # pixels around the image: OpenCV bends outlines that leave its canvas along the border


@dataclass(frozen=True)
class Outline:
    """What is drawn.

    Args:
        value: label value of its pixels.
        points: (N, 2) x, y in pixels.
        closed: it is an area, to which every pixel belongs that its outline touches; else a line.
    """

    value: int
    points: np.ndarray
    closed: bool = True


@dataclass(frozen=True)
class Drawing:
    """A label map painted from outlines, in their order: a later one covers an earlier one.

    Args:
        where: the annotation file.
        outlines: areas and lines.
        fill: label value of the pixels in none.
        line_width: of the lines, in pixels.
    """

    where: str
    outlines: tuple[Outline, ...]
    fill: int
    line_width: int = 1

    def content(self) -> Any:
        outlines = tuple((outline.value, outline.points, outline.closed) for outline in self.outlines)
        return (outlines, self.fill, self.line_width)

    def files(self) -> tuple[Path, ...]:
        return ()

    def read(self, size: Size) -> np.ndarray:
        """(H, W) uint8."""
        frame = _FRAME + self.line_width
        framed = np.full((size[0] + 2 * frame, size[1] + 2 * frame), self.fill, np.uint8)
        for outline in self.outlines:
            fixed = ((outline.points + frame) * 2**_BITS).round().astype(np.int32)
            if outline.closed:
                cv2.fillPoly(framed, [fixed], outline.value, shift=_BITS)
            else:
                framed[self._line(fixed, framed.shape)] = outline.value
        return np.ascontiguousarray(framed[frame:-frame, frame:-frame])

    def values(self) -> np.ndarray:
        """(V,) uint8, also those of outlines that later ones cover or that lie outside the image."""
        return np.unique(np.array([self.fill, *(outline.value for outline in self.outlines)], np.uint8))

    def _line(self, fixed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """(H, W) bool: the pixels of a line through fixed-point (N, 2) x, y, swept by a disc of its width."""
        line = np.zeros(shape, np.uint8)
        cv2.polylines(line, [fixed], isClosed=False, color=1, shift=_BITS)
        if self.line_width > 1:
            line = cv2.dilate(line, _disc(self.line_width))
        return line.astype(bool)


@lru_cache(maxsize=8)
def _disc(width: int) -> np.ndarray:
    """(width, width) uint8, 1 where the middle of the pixel is within half the width of the disc's middle."""
    offsets = np.arange(width) - (width - 1) / 2
    return (offsets[:, None] ** 2 + offsets**2 <= (width / 2) ** 2).astype(np.uint8)
