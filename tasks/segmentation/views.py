"""Test-time views of an image and the way back to one label map. SPEC 8.1.

Legend: K classes, h and w pixels of a view, H and W pixels of the original image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from umbel import Size, TtaConfig, View, round_up
from umbel.tasks.segmentation.blocks import upsample
from umbel.tasks.segmentation.prediction import LabelMap


def make_views(base: Size, tta: TtaConfig, multiple: int) -> list[View]:
    """Every scale of `base` (or explicit size), times every flip, each resized from the original image.

    Args:
        base: height and width at scale 1.
        tta: scales or sizes, and flip.
        multiple: views are padded bottom and right until both sides are divisible by this.
    """
    sizes: list[Size] = [(height, width) for height, width in tta.sizes]
    sizes = sizes or [(_scaled(base[0], scale), _scaled(base[1], scale)) for scale in tta.scales]
    flips = (False, True) if tta.hflip else (False,)
    return [View(size, hflip=flip, canvas=round_up(size, multiple)) for size in sizes for flip in flips]


def _scaled(side: int, scale: float) -> int:
    return max(1, int(side * scale + 0.5))


def content_logits(logits_Khw: Tensor, view: View) -> Tensor:
    """Float logits of a view at its own resolution, without the padding: (K, *view.size)."""
    canvas = upsample(logits_Khw[None].float(), view.canvas or view.size)[0]
    return canvas[:, : view.size[0], : view.size[1]]


def original_logits(logits_Khw: Tensor, view: View, size: Size) -> Tensor:
    """Logits of a view's content in the frame of the original image: un-flipped, then resized to (K, H, W)."""
    unflipped = logits_Khw.flip(-1) if view.hflip else logits_Khw
    return upsample(unflipped[None], size)[0]


def mean_probabilities(views_KHW: Sequence[Tensor]) -> Tensor:
    """Mean over views of the softmax of their logits: (K, H, W)."""
    total = torch.softmax(views_KHW[0], dim=0)
    for logits in views_KHW[1:]:
        total += torch.softmax(logits, dim=0)
    return total / len(views_KHW)


def merge_views(views_KHW: Sequence[Tensor]) -> LabelMap:
    """The likeliest class of every pixel over all views; a single view needs no softmax for that."""
    scores = views_KHW[0] if len(views_KHW) == 1 else mean_probabilities(views_KHW)
    return LabelMap(scores.max(dim=0).indices.to(torch.uint8).cpu())
