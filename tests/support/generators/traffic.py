"""The data of recipes/traffic.yaml in its three real formats."""

from __future__ import annotations

from pathlib import Path

from generators.bdd100k import write_bdd100k
from generators.stanford_cars import write_stanford_cars
from generators.tt100k import write_tt100k


def write_small(root: Path) -> Path:
    """Pictures of about 100 pixels, a few of each; returns `root`, what UMBEL_DATA is to say."""
    write_bdd100k(root / "bdd100k", 4, 2, size=(90, 160))
    write_stanford_cars(root / "stanford_cars", 8, 3, size=(60, 90))
    write_tt100k(root / "tt100k", 4, 2, side=256)
    return root


def write_full(root: Path) -> Path:
    """Training pictures of the real sizes, enough for two steps without repetition, and one small one to evaluate."""
    write_bdd100k(root / "bdd100k", 6, 1, val_size=(180, 320))
    write_stanford_cars(root / "stanford_cars", 12, 1)
    write_tt100k(root / "tt100k", 4, 1, val_side=512)
    return root
