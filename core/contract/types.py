"""The values that flow between data, model and task.

Legend: B images in a batch, H and W height and width in pixels, C channels. Sizes are always (height, width).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor


Size = tuple[int, int]  # height, width

LARGE = 2**24  # pixels, beyond which memory counts for more than the last bit


class SampleKey(NamedTuple):
    """Names one draw of one item: the augmentation of a sample is a pure function of (seed, task, epoch, index)."""

    epoch: int
    index: int  # type: ignore[assignment]  # hides tuple.index on purpose


@dataclass(frozen=True)
class FeatureSpec:
    """The levels of a backbone: one entry each, finest first.

    Args:
        channels: channels of each level.
        strides: input pixels per cell of each level.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def level(self, stride: int) -> int:
        """Index of the level with this stride; ValueError names the strides there are."""
        if stride not in self.strides:
            raise ValueError(f"no feature level of stride {stride}; the backbone gives strides {list(self.strides)}")
        return self.strides.index(stride)


@dataclass(frozen=True)
class Sample:
    """One item of a data set.

    Args:
        image: (H, W, 3) uint8 RGB.
        target: the task's own label; core never looks inside.
        id: unique within the split, names the sample in errors and submissions (usually the file name).
        size: height and width of the image as stored, before any augmentation.
    """

    image: np.ndarray
    target: Any
    id: str
    size: Size


class Source(NamedTuple):
    """What a sample is read from, known without reading it.

    Args:
        id: as the sample's.
        files: the files that are read for it: the image, and a label where that is a file of its own.
        label: what is known of the label from elsewhere, such as a class or boxes: JSON types, dataclasses, arrays and
            containers of them; None where the files say all.
    """

    id: str
    files: tuple[str | Path, ...] = ()
    label: Any = None


@dataclass(frozen=True)
class Batch:
    """Samples of one task, ready for the model.

    Args:
        images: (B, 3, H, W) uint8 RGB; normalised on the device by the backbone's own mean and std.
        targets: whatever `Task.collate_targets` returns: tensors, or dicts, lists and tuples of them.
        ids: sample ids, one for each of the targets.
        sizes: original sizes, likewise.
        rows: (n,) int64, which of the images the n targets belong to, where tasks share images and not all have a label
            of this task; None: all B of them.
    """

    images: Tensor
    targets: Any
    ids: tuple[str, ...]
    sizes: tuple[Size, ...]
    rows: Tensor | None = None


@dataclass(frozen=True)
class Losses:
    """What `Task.loss` returns.

    Args:
        total: scalar with gradient; the only part the engine looks at.
        parts: named scalars for the log, such as {"box": ..., "obj": ...}; no gradient is needed.
    """

    total: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """One way to show an image to the model at test time: resize, then flip, then pad bottom and right.

    Args:
        size: content height and width in pixels after the resize.
        hflip: mirror left-right.
        canvas: height and width after padding, at least `size`; None pads nothing.
        interpolation: "bilinear" or "bicubic", half-pixel centres, no antialiasing.
    """

    size: Size
    hflip: bool = False
    canvas: Size | None = None
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        if self.canvas is not None and (self.canvas[0] < self.size[0] or self.canvas[1] < self.size[1]):
            raise ValueError(f"a view of size {self.size} does not fit a canvas of {self.canvas}")

    def apply(self, image: Tensor, pad_color: Sequence[float]) -> Tensor:
        """Return the view of an image.

        Args:
            image: (3, H, W) uint8 or float in 0..255.
            pad_color: padding colour, 3 values in 0..255.

        Returns:
            (3, *canvas) float32 in 0..255, or uint8 where nothing had to be resized.
        """
        import torch

        out = image
        if tuple(image.shape[-2:]) != self.size:
            # of a large image a channel at a time: that takes a third of the memory, and rounds a little otherwise
            is_large = image.shape[-2] * image.shape[-1] > LARGE
            out = torch.cat([self._resized(part[None]) for part in image]) if is_large else self._resized(image)
        if self.hflip:
            out = out.flip(-1)
        height, width = self.canvas or self.size
        if (height, width) == self.size:
            return out
        padded = out.new_empty((3, height, width))
        for channel, value in zip(padded, pad_color, strict=True):  # a tensor of them would be a copy to the device
            channel.fill_(round(value))
        padded[:, : self.size[0], : self.size[1]] = out
        return padded

    def _resized(self, image: Tensor) -> Tensor:
        """(C, H, W) of any type to (C, *size) float32 in 0..255."""
        from torch.nn.functional import interpolate

        resized = interpolate(
            image[None].float(), size=self.size, mode=self.interpolation, align_corners=False, antialias=False
        )
        return resized[0].clamp(0, 255)


def round_up(size: Size, multiple: int) -> Size:
    """Smallest size not below `size` whose sides are divisible by `multiple`."""
    return (-(-size[0] // multiple) * multiple, -(-size[1] // multiple) * multiple)
