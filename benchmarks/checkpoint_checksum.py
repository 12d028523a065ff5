"""What the SHA-256 of a checkpoint's files adds to the time of saving it: with, against without, in turns."""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from umbel.checkpoint import write as writer


class NoChecksum:
    """What hashlib.sha256 is, without the work."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = content

    def hexdigest(self) -> str:
        return "0" * 64


def seconds(root: Path, step: int, tensors: dict[str, dict[str, torch.Tensor]], checksum: Any) -> float:
    """Time to save once; only the checksums of files are replaced, not that of the small manifest."""
    real = writer.file_checksum
    writer.file_checksum = checksum
    try:
        started = time.perf_counter()
        folder = writer.write_checkpoint(root, step, tensors, {"steps_done": step}, keep=10**6)
        taken = time.perf_counter() - started
    finally:
        writer.file_checksum = real
    shutil.rmtree(folder)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--millions", type=float, default=50, help="parameters; AdamW's state is twice as much")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--folder", type=Path, help="where to write; default: the temporary folder")
    given = parser.parse_args()
    count = int(given.millions * 1e6 / 10)
    named = {f"layer{i}": torch.randn(count) for i in range(10)}
    moments = {f"{name}/{key}": value for name, value in named.items() for key in ("exp_avg", "exp_avg_sq")}
    tensors = {"model": named, "optimizer": moments}
    times: dict[str, list[float]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory(dir=given.folder) as root:
        seconds(Path(root), 0, tensors, NoChecksum)
        for step in range(1, given.repeats + 1):
            times["without"].append(seconds(Path(root), step, tensors, NoChecksum))
            times["with"].append(seconds(Path(root), step, tensors, writer.file_checksum))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = [with_ / without for with_, without in zip(times["with"], times["without"], strict=True)]
    ratio = statistics.median(ratios)
    megabytes = sum(value.nbytes for group in tensors.values() for value in group.values()) / 1e6
    print(f"{'saving':20} {'median s':>9} {'MB/s':>8} {'ratio':>6}")
    for name, value in medians.items():
        print(f"{name + ' checksum':20} {value:9.3f} {megabytes / value:8.0f} {1 if name == 'without' else ratio:6.3f}")
    result = {"benchmark": "checkpoint_checksum", "megabytes": round(megabytes), "seconds": medians, "ratio": ratio}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
