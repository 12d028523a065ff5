"""ZeRO stages against plain PyTorch: segmentation, classification and detection on a small timm backbone, by optimizer.

The table of docs/scaling.md is what `python tests/core/runtime/test_real_heads_equality.py` prints.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from real_heads import LR, reference
from safetensors.torch import load_file
from torch import Tensor
from zero_toys import TESTS, launch_ranks

RANKS = {1: (1, 3), 2: (0, 1, 2, 3), 4: (1,)}  # stages by number of ranks
CASES = [(ranks, stage, optimizer) for ranks, stages in RANKS.items() for stage in stages for optimizer in LR]

# of the largest and of the 999th of 1,000 elements. AdamW divides a gradient by its own size: one that is hardly more
# than rounding makes a step of up to `lr` either way, unless eps is larger than rounding
LARGEST = {"SGD": (1e-6, 1e-6), "AdamW": (LR["AdamW"], 1e-6), "AdamW, eps 1e-3": (1e-6, 1e-6)}


@cache
def plain(optimizer: str, ranks: int, *, backward: bool = False) -> dict[str, Tensor]:
    return reference(optimizer, ranks, backward=backward)


def distances(left: dict[str, Tensor], right: dict[str, Tensor]) -> tuple[float, float]:
    """Largest difference, and that of 999 in 1,000 elements."""
    assert left.keys() == right.keys()
    found = torch.cat([(left[name] - right[name]).abs().flatten() for name in left]).sort().values
    return float(found[-1]), float(found[int(0.999 * len(found))])


def train_cases(ranks: int, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    cases = [f"{optimizer} {stage}" for stage in RANKS[ranks] for optimizer in LR]
    for result in launch_ranks(ranks, str(TESTS / "real_heads.py"), str(out), *cases, timeout=1200):
        assert result.returncode == 0, result.stderr[-2000:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of all cases, in a folder a number of ranks."""
    out = tmp_path_factory.mktemp("real")
    for ranks in RANKS:
        train_cases(ranks, out / str(ranks))
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "stage", "optimizer"), CASES)
def test_real_heads_train_as_in_plain_pytorch(folder: Path, ranks: int, stage: int, optimizer: str) -> None:
    weights = load_file(folder / str(ranks) / f"{optimizer} {stage}.safetensors")
    largest, most = distances(weights, plain(optimizer, ranks))
    assert largest <= LARGEST[optimizer][0]
    assert most <= LARGEST[optimizer][1]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", LR)
def test_plain_pytorch_differs_from_itself_by_as_much(optimizer: str) -> None:
    """What the tolerance allows is what summing the losses in another order does; a wrong loss does more."""
    largest, most = distances(plain(optimizer, 2, backward=True), plain(optimizer, 2))
    assert largest <= LARGEST[optimizer][0]
    assert most <= LARGEST[optimizer][1]
    assert distances(plain(optimizer, 1), plain(optimizer, 2))[1] > 10 * LARGEST[optimizer][1]


def print_table(folder: Path) -> None:
    print("| ranks | ZeRO stage | " + " | ".join(LR) + " |")
    print("|---|---|" + "---|" * len(LR))
    for ranks, stages in RANKS.items():
        train_cases(ranks, folder / str(ranks))
        for stage in stages:
            cells = []
            for optimizer in LR:
                weights = load_file(folder / str(ranks) / f"{optimizer} {stage}.safetensors")
                cells.append("{:.0e} / {:.0e}".format(*distances(weights, plain(optimizer, ranks))))
            print(f"| {ranks} | {stage} | " + " | ".join(cells) + " |", flush=True)
    cells = ["{:.0e} / {:.0e}".format(*distances(plain(o, 2, backward=True), plain(o, 2))) for o in LR]
    print("| 2 | plain PyTorch, summed the other way round | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    import tempfile

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        print_table(Path(scratch))
