"""What a source has: images that several tasks label. Each is decoded, augmented and shown to the backbone once."""

from __future__ import annotations

from dataclasses import dataclass, field

from umbel.contract.options import check_range, option
from umbel.contract.task_config import check_size, check_workers
from umbel.contract.types import Size


@dataclass
class SourceAugment:
    """How the images of a source are varied while training; each label follows the same draw."""

    scale: list[float] = option([1.0, 1.0], "range of the image's size, as a factor on what just fits the input")
    rotation: float = option(0.0, "largest rotation, in degrees to either side")
    hflip: float = option(0.5, "probability of a left-right mirror; 0 where a label knows left from right")
    brightness: float = option(0.2, "factor in 1 +- this")
    contrast: float = option(0.2, "factor in 1 +- this")
    saturation: float = option(0.2, "factor in 1 +- this")

    def __post_init__(self) -> None:
        if len(self.scale) != 2 or self.scale[0] > self.scale[1]:
            raise ValueError(f"scale is {self.scale}; expected [smallest, largest]")
        for factor in self.scale:
            check_range("scale", factor, 0.05, 20.0)
        check_range("rotation", self.rotation, 0.0, 180.0)
        for name in ("hflip", "brightness", "contrast", "saturation"):
            check_range(name, getattr(self, name), 0.0, 1.0)


@dataclass
class SourceConfig:
    """Images that several tasks label; tasks name it as `source`."""

    input_size: Size = option(doc="training height and width in pixels; divisible by the backbone's largest stride")
    batch_size: int = option(8, "images in every optimizer step, per process")
    workers: int | str = option("auto", "processes that load these images while training; see tasks.NAME.workers")
    keep_ratio: bool = option(True, "fit images into the input and pad them; false stretches them")
    augment: SourceAugment = field(default_factory=SourceAugment, metadata={"doc": "variation while training"})

    def __post_init__(self) -> None:
        check_range("batch_size", self.batch_size, 1, 65536)
        check_workers(self.workers)
        self.input_size = check_size("input_size", self.input_size)
