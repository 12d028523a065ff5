"""Loading a detection image, augmentation and all, against nothing but decoding the same JPEG."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import torch
import torchvision.io
from loader import PAPER, Epochs, Stored, training_view
from measure import arguments, medians, side_by_side
from naive import decode
from pictures import write_pictures
from report import Claim, milliseconds, publish
from system import DETECTION


def decoders() -> dict[str, Callable[[Path], object]]:
    """What is installed: OpenCV and torchvision always, simplejpeg with the extra `bench`."""
    found: dict[str, Callable[[Path], object]] = {
        "opencv": decode,
        "torchvision": lambda path: torchvision.io.decode_jpeg(torchvision.io.read_file(str(path))),
    }
    try:
        import simplejpeg
    except ImportError:
        return found
    return found | {"simplejpeg": lambda path: simplejpeg.decode_jpeg(path.read_bytes())}


def main() -> None:
    quick = arguments(__doc__).quick
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    stored, size, _ = PAPER[DETECTION]
    if quick:
        stored, size = (256, 256), (128, 128)
    count = 2 if quick else 8
    with tempfile.TemporaryDirectory() as folder:
        data = Stored(DETECTION, write_pictures(Path(folder), stored, count), stored)
        view = training_view(DETECTION, data, size)
        runs: dict[str, Callable[[], object]] = {"umbel, loaded and augmented": Epochs(view, count)}
        for name, by in decoders().items():
            runs[name] = lambda by=by: [by(path) for path in data.paths]
        times = medians(side_by_side(runs, 1 if quick else 7))
    fastest = min(value for name, value in times.items() if name in decoders())
    rows = [(name, milliseconds(value / count)) for name, value in times.items()]
    claims = [Claim("loading / fastest bare decode", times["umbel, loaded and augmented"] / fastest, 1.5)]
    publish("decoding", (f"JPEG of {stored[0]} x {stored[1]}, one core", "ms an image"), rows, claims)


if __name__ == "__main__":
    main()
