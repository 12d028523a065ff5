"""What the SHA-256 of a checkpoint's files adds to the time of saving it: with, against without, in turns."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch
from measure import arguments, medians, ratio, side_by_side
from report import Claim, publish

from umbel.checkpoint import checksums
from umbel.checkpoint.write import write_checkpoint


class NoChecksum:
    """What hashlib.sha256 is, without the work."""

    def update(self, block: bytes | memoryview) -> None:
        """Does nothing."""

    def hexdigest(self) -> str:
        return "0" * 64


def main() -> None:
    quick = arguments(__doc__).quick
    count = 10_000 if quick else 5_000_000
    named = {f"layer{i}": torch.randn(count) for i in range(10)}
    moments = {f"{name}/{key}": value.clone() for name, value in named.items() for key in ("exp_avg", "exp_avg_sq")}
    tensors = {"model": named, "optimizer": moments}
    sha256 = checksums.new_checksum
    with tempfile.TemporaryDirectory() as folder:
        step = iter(range(1000))

        def save(make_checksum: object) -> None:
            """Only the checksums of files are replaced, not that of the small manifest."""
            checksums.new_checksum = make_checksum  # type: ignore[assignment]
            number = next(step)
            shutil.rmtree(write_checkpoint(Path(folder), number, tensors, {"steps_done": number}, keep=10**6))

        runs = {"with checksums": lambda: save(sha256), "without": lambda: save(NoChecksum)}
        times = side_by_side(runs, 2 if quick else 15)
    megabytes = sum(value.nbytes for group in tensors.values() for value in group.values()) / 1e6
    rows = [(name, f"{value:.3f}", f"{megabytes / value:.0f}") for name, value in medians(times).items()]
    claims = [Claim("time to save, with / without checksums", ratio(times, "with checksums", "without"), 1.10)]
    publish("checkpoint_checksum", (f"{megabytes:.0f} MB, saved", "median s", "MB/s"), rows, claims)


if __name__ == "__main__":
    main()
