"""What every rank of tests/plugins/test_uneven_ranks.py does: `python uneven_worker.py train|evaluate RECIPE OUT...`.

`train` trains into each OUT, which names its `deepspeed:` block, to the end; then once more from the step before.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch

import umbel
from umbel.runtime.ranks import exit_now, ranks_from_env

STEPS = 3
BLOCKS = {
    "no-block": (),
    "zero-1": ("deepspeed.zero_optimization.stage=1",),
    "zero-3": (
        "deepspeed.zero_optimization.stage=3",
        "deepspeed.zero_optimization.stage3_param_persistence_threshold=0",
    ),
}


def train(recipe: str, out: Path) -> None:
    """Leaves the scores of the run and those of the resumed run, by this rank, and whether their weights are equal."""
    last = out / "checkpoints" / f"step-{STEPS:08d}"
    overrides = BLOCKS[out.name]
    scores = umbel.train(recipe, overrides, out=out, quiet=True)
    ranks = ranks_from_env()
    whole = [path.read_bytes() for path in sorted(last.glob("*.safetensors"))]
    ranks.all_gather([0])  # all have read it
    if ranks.is_main_process:
        shutil.rmtree(last)
    ranks.all_gather([0])
    again = umbel.train(recipe, overrides, out=out, resume=True, quiet=True)
    same = whole == [path.read_bytes() for path in sorted(last.glob("*.safetensors"))]
    note = {"scores": scores, "again": again, "same": same}
    (out / f"note-{ranks.rank}.json").write_text(json.dumps(note))


def main(command: str, recipe: str, *outs: str) -> None:
    torch.set_num_threads(1)
    for out in map(Path, outs):
        if command == "train":
            train(recipe, out)
        else:
            (out / "alone.json").write_text(json.dumps(umbel.load(out).evaluate()))
    exit_now(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
