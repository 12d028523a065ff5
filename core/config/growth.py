"""The part of a recipe that says how a run grew out of another."""

from __future__ import annotations

from dataclasses import dataclass

from umbel.contract.options import check_choice, check_range, check_unique, option

NONE, FROZEN, ADAPTER, JOINT = "none", "frozen", "adapter", "joint"

MODES = (FROZEN, ADAPTER, JOINT)


@dataclass
class GrowthConfig:
    """How new tasks were added to a trained run; `umbel add-task` fills in mode and kept."""

    mode: str = option(
        NONE,
        "none; frozen (backbone and old heads stay as they are), adapter (the same, with low-rank adapters for "
        "the new tasks), or joint (all train on)",
    )
    kept: list[str] = option([], "the tasks there were before")
    max_drop: float = option(0.01, "what the main metric of an old task may lose before add-task exits with 1")
    rank: int = option(8, "rank of the adapters")
    alpha: float = option(16.0, "the adapters' output is multiplied by alpha / rank")

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, (NONE, *MODES))
        check_range("max_drop", self.max_drop, 0.0, 1e9)
        check_range("rank", self.rank, 1, 4096)
        check_range("alpha", self.alpha, 1e-6, 1e6)
        check_unique("kept", self.kept)

    @property
    def frozen_tasks(self) -> tuple[str, ...]:
        """Tasks whose outputs must not change, and which are not trained."""
        return tuple(self.kept) if self.mode in (FROZEN, ADAPTER) else ()
