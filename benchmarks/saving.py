"""Saving 200 M parameters with AdamW's state: how long training waits, against a plain synchronous save."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from measure import arguments, medians, ratio, side_by_side
from report import Claim, publish

from umbel.checkpoint.write import write_checkpoint


def main() -> None:
    quick = arguments(__doc__).quick
    count, each = (4, 50_000) if quick else (100, 2_000_000)
    model = {f"layer{n}.weight": torch.randn(each) for n in range(count)}
    moments = {f"{name}/{key}": torch.randn(each) for name in model for key in ("exp_avg", "exp_avg_sq")}
    with tempfile.TemporaryDirectory() as folder:
        step = iter(range(1, 100))

        def by_umbel() -> None:
            write_checkpoint(Path(folder) / "umbel", next(step), {"model": model, "optimizer": moments}, {}, keep=1)

        def plainly() -> None:
            torch.save({"model": model, "optimizer": moments}, Path(folder) / "plain.pt")

        times = side_by_side({"umbel": by_umbel, "torch.save": plainly}, 1 if quick else 3)
    rows = [(name, f"{seconds:.2f}") for name, seconds in medians(times).items()]
    claims = [Claim("training waits, umbel / torch.save", ratio(times, "umbel", "torch.save"), 0.10)]
    publish("saving", (f"{count * each / 1e6:.0f} M parameters, AdamW", "training waits s"), rows, claims)


if __name__ == "__main__":
    main()
