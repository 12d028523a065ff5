"""Reading and writing videos with OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from umbel.errors import DataError

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's own messages name no file; the errors here do

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
_USUAL_RATE = 25.0  # frames a second, where a file does not say


class Video:
    """The frames of a video file, in order, decoded as they are asked for.

    Args:
        path: the file.

    Attributes:
        rate: frames a second.

    Raises:
        DataError: it is missing, or no frame of it can be decoded.
    """

    def __init__(self, path: Path) -> None:
        import cv2

        if not path.is_file():
            raise DataError("no such file", where=str(path))
        self.path = path
        with _quiet():
            self._capture = cv2.VideoCapture(str(path))
            opened = self._capture.isOpened()
            self._first = self._capture.read()[1] if opened else None
        if self._first is None:
            self._capture.release()
            raise DataError("is not a video that can be decoded", where=str(path), hint="convert it to H.264 in MP4")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate < 1000 else _USUAL_RATE  # NaN fails both

    def __iter__(self) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB each."""
        import cv2

        frame: Any = self._first
        try:
            while frame is not None:
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                with _quiet():
                    ok, frame = self._capture.read()
                frame = frame if ok else None
        finally:
            self._capture.release()


class VideoFile:
    """An MP4 file that frames are added to; use it in a `with` block, after which the file is whole.

    Args:
        path: ends in .mp4; its folder is made.
        rate: frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.rate = rate
        self._writer: Any = None

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()

    def add(self, frame: np.ndarray) -> None:
        """Add a frame, (H, W, 3) uint8 RGB, all of one size.

        Raises:
            DataError: the file cannot be written.
        """
        import cv2

        height, width = frame.shape[:2]
        if self._writer is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DataError(f"cannot be written: {error.strerror}", where=str(self.path)) from None
            with _quiet():
                code = cv2.VideoWriter.fourcc(*"mp4v")
                self._writer = cv2.VideoWriter(str(self.path), code, self.rate, (width, height))
            if not self._writer.isOpened():
                raise DataError("cannot be written as a video", where=str(self.path))
        self._writer.write(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2BGR))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without OpenCV's own messages on stderr: the errors raised here name the file."""
    import cv2

    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
