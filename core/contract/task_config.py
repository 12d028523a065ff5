"""What every task of a recipe has: batch and input size, weight, test-time augmentation."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from umbel.contract.options import check_range, check_unique, option
from umbel.contract.types import Size

AUTO = "auto"


@dataclass
class TtaConfig:
    """Test-time augmentation of a task: every scale or size, times every flip."""

    scales: list[float] = option([1.0], "factors on the test size, one view each")
    sizes: list[list[int]] = option([], "explicit [height, width] of each view, instead of scales")
    hflip: bool = option(False, "add the mirrored view of each")

    def __post_init__(self) -> None:
        for scale in self.scales:
            check_range("tta.scales", scale, 0.1, 10.0)
        if not self.scales and not self.sizes:
            raise ValueError("tta.scales is []; expected one or more, [1.0] for a single view, or tta.sizes")
        for size in self.sizes:
            check_size("tta.sizes", size)


@dataclass
class TtaVariant:
    """A row of the table that `umbel tta` prints: test-time augmentation and task options to try."""

    name: str = option(doc="what the row is called")
    tta: TtaConfig = field(default_factory=TtaConfig, metadata={"doc": "its views; by default one"})
    options: dict[str, Any] = option({}, "task options that differ from the recipe's, such as how views are merged")


@dataclass
class TaskConfig:
    """What every task of a recipe has."""

    kind: str = option(doc="which plugin: a kind of `umbel plugins`, or distribution/kind")
    batch_size: int = option(8, "images of this task in every optimizer step, per process")
    input_size: Size = option(doc="training height and width in pixels; divisible by the backbone's largest stride")
    workers: int | str = option(
        "auto",
        "processes that load this task's training data; 0 loads in the main process, and validation data there too, "
        "without a thread that reads ahead. auto: 0 on a single CPU, else 1, with a GPU up to 4 where there are CPUs "
        "for so many, less what /dev/shm has no room for. No result depends on it",
    )
    source: str | None = option(None, "the source of the recipe whose images this task labels; null: images of its own")
    weight: float = option(1.0, "factor on this task's loss")
    weight_warmup: int = option(0, "steps over which the weight grows linearly, from the task's first step on")
    every: int = option(1, "take part in one of so many steps; where tasks take turns, in one of so many turns")
    start_step: int = option(0, "first step, counted from 0, that this task takes part in")
    stop_step: int | None = option(None, "first step that it takes no part in any more; null is the end of the run")
    lr_scale: float = option(1.0, "factor on the learning rate of this task's head")
    holdout: float = option(
        0.0,
        "share of the training data that validates in place of a validation split, the same samples in every run; "
        "0 has the data set's own split",
    )
    tta: TtaConfig = field(default_factory=TtaConfig, metadata={"doc": "test-time augmentation"})
    tta_variants: list[TtaVariant] = option([], "what `umbel tta` compares; [] takes the rows that the task suggests")
    options: Any = option({}, "the task's own options: `umbel show --schema KIND`")

    def __post_init__(self) -> None:
        check_unique("tta_variants names", [variant.name for variant in self.tta_variants])
        check_range("batch_size", self.batch_size, 1, 65536)
        check_workers(self.workers)
        if not 0.0 <= self.holdout < 1.0:
            raise ValueError(f"holdout is {self.holdout}; expected a share of 0 or more and less than 1")
        check_range("weight", self.weight, 0.0, 1e6)
        check_range("weight_warmup", self.weight_warmup, 0, 10**9)
        check_range("every", self.every, 1, 10**6)
        check_range("start_step", self.start_step, 0, 10**9)
        if self.stop_step is not None:
            check_range("stop_step", self.stop_step, self.start_step + 1, 10**9)
        check_range("lr_scale", self.lr_scale, 0.0, 1e6)
        self.input_size = check_size("input_size", self.input_size)


def check_workers(workers: int | str) -> None:
    """Raise ValueError unless it is a number of processes, or auto."""
    if isinstance(workers, str) and workers != AUTO:
        raise ValueError(f"workers is {workers!r}; expected {AUTO} or a number of processes")
    if not isinstance(workers, str):
        check_range("workers", workers, 0, 256)


def check_size(name: str, size: Any) -> Size:
    """A [height, width] as a Size; ValueError if it is none."""
    if len(size) != 2 or not all(isinstance(side, int) and 1 <= side <= 65536 for side in size):
        raise ValueError(f"{name} is {size!r}; expected [height, width] in pixels")
    return (int(size[0]), int(size[1]))


ORIGINAL = "Original"


def default_tta_variants(tta: TtaConfig) -> list[TtaVariant]:
    """One view, the scales or sizes of `tta` without its flip, and with it; what repeats the row before is left out."""
    frames = len(tta.sizes or tta.scales)
    scaled = "MS" if frames > 1 else "Rescaled"
    unflipped = dataclasses.replace(tta, hflip=False)
    rows = [TtaVariant(ORIGINAL)]
    if unflipped != TtaConfig():
        rows.append(TtaVariant(scaled, unflipped))
    if tta.hflip:
        rows.append(TtaVariant(f"{scaled}+Flip" if len(rows) > 1 else "Flip", tta))
    return rows
