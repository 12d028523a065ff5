"""Reading and writing videos with OpenCV."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from umbel.contract.errors import DataError
from umbel.io.video_container import counts_frames, is_cut_short

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg's own messages name no file; the errors here do

SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")

_AGAIN = "fetch or copy the file again"

_USUAL_RATE = 25.0  # frames a second, where a file does not say


class Video:
    """The frames of a video file, in order, turned as the file says, decoded as they are asked for.

    Args:
        path: the file.

    Attributes:
        rate: frames a second; their mean where it varies.
        times: seconds of every frame decoded so far, as players show them.
        fault: set after the last frame where frames are missing: the file is cut short or damaged.

    Raises:
        DataError: it is missing, or no frame of it can be decoded.
    """

    def __init__(self, path: Path) -> None:
        import cv2

        if not path.is_file():
            raise DataError("no such file", where=str(path))
        self.path = path
        self.times: list[float] = []
        self.fault: DataError | None = None
        with _quiet():
            self._capture = cv2.VideoCapture(str(path))
            opened = self._capture.isOpened()
            self._first = self._capture.read()[1] if opened else None
        if self._first is None:
            self._capture.release()
            if is_cut_short(path):
                raise DataError("ends before its first frame does", where=str(path), hint=_AGAIN, kind="truncated")
            raise DataError("is not a video that can be decoded", where=str(path), hint="convert it to H.264 in MP4")
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0 < rate < 1000 else _USUAL_RATE  # NaN fails both
        self._stated = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)

    def __iter__(self) -> Iterator[np.ndarray]:
        """(H, W, 3) uint8 RGB each."""
        import cv2

        frame: Any = self._first
        try:
            while frame is not None:
                self.times.append(self._seconds())
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                with _quiet():
                    ok, frame = self._capture.read()
                frame = frame if ok else None
            self.fault = self._missing()
        finally:
            self._capture.release()

    def _seconds(self) -> float:
        """When the frame just read is shown; one at the mean rate where the file's times do not rise."""
        import cv2

        seconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if not self.times:
            return seconds if 0 <= seconds < float("inf") else 0.0
        before = self.times[-1]
        return seconds if before < seconds < float("inf") else before + 1 / self.rate  # NaN fails both

    def _missing(self) -> DataError | None:
        read, stated = len(self.times), int(self._stated) if 0 < self._stated < 2**31 else 0
        cut = is_cut_short(self.path)
        if not cut and not (counts_frames(self.path) and read < stated):
            return None
        count = f"{read} of {stated} frames" if read < stated else f"{read} frames"
        why = "ends before its container says" if cut else "holds frames that cannot be decoded"
        return DataError(f"{why}: {count} were read", where=str(self.path), hint=_AGAIN, kind="truncated")


class VideoFile:
    """An MP4 file of a constant rate that frames are added to; use it in a `with` block, after which it is whole.

    Args:
        path: ends in .mp4; its folder is made.
        rate: frames a second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path = path
        self.rate = rate
        self._writer: Any = None
        self._size = (0, 0)

    def __enter__(self) -> VideoFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()

    def add(self, frame: np.ndarray) -> None:
        """Add a frame, (H, W, 3) uint8 RGB; one of another size than the first is resized to it.

        Odd sides get a pixel more, that of the border: the format has even ones only.

        Raises:
            DataError: the file cannot be written.
        """
        import cv2

        if self._writer is None:
            self._size = (frame.shape[1], frame.shape[0])
            width, height = (side + side % 2 for side in self._size)
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise DataError(f"cannot be written: {error.strerror}", where=str(self.path)) from None
            with _quiet():
                code = cv2.VideoWriter.fourcc(*"mp4v")
                self._writer = cv2.VideoWriter(str(self.path), code, self.rate, (width, height))
            if not self._writer.isOpened():
                raise DataError("cannot be written as a video", where=str(self.path))
        if (frame.shape[1], frame.shape[0]) != self._size:
            frame = cv2.resize(frame, self._size, interpolation=cv2.INTER_LINEAR)
        odd = (frame.shape[0] % 2, frame.shape[1] % 2)
        frame = np.pad(frame, ((0, odd[0]), (0, odd[1]), (0, 0)), mode="edge") if any(odd) else frame
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
