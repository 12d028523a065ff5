"""Class scores of large images, a strip of rows at a time: at 64 megapixels one class takes 256 MB.

Legend: K classes, h and w cells of the head's logits, H and W pixels of what they are resized to, R rows of a strip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from umbel import Size, View

LARGE = 2**26  # scores, 256 MB; what is smaller is resized at once

STRIP = 2**23  # scores of a strip


@dataclass(frozen=True)
class StripLogits:
    """Logits of a view that are resized when they are asked for; equal to those resized at once but for rounding.

    Args:
        logits_Khw: float, contiguous, of the whole canvas of the view.
        view: the view.
        size: height and width of the original image; None in the frame of the view.
    """

    logits_Khw: Tensor
    view: View
    size: Size | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.logits_Khw.shape[0], *(self.size or self.view.size))

    def restored(self, size: Size) -> StripLogits:
        """The same in the frame of the original image."""
        return replace(self, size=size)

    def rows(self, top: int, bottom: int) -> Tensor:
        """(K, bottom - top, W) of the original frame or, without a size, of the view's."""
        if self.size is None or self.size == self.view.size:
            rows_KRW = self._content(top, bottom)
            return rows_KRW.flip(-1) if self.view.hflip and self.size is not None else rows_KRW
        sources = _sources(self.view.size[0], self.size[0], top, bottom, self.logits_Khw.device)
        content = self._content(sources.first, sources.last)
        return _blend(content.flip(-1) if self.view.hflip else content, self.size[1], sources)

    def whole(self) -> Tensor:
        """All rows."""
        return torch.cat([self.rows(top, bottom) for top, bottom in strips(self.shape)], dim=1)

    def _content(self, top: int, bottom: int) -> Tensor:
        """Rows at the view's own resolution, without the padding."""
        height, width = self.view.canvas or self.view.size
        sources = _sources(self.logits_Khw.shape[1], height, top, bottom, self.logits_Khw.device)
        return _blend(self.logits_Khw[:, sources.first : sources.last], width, sources)[:, :, : self.view.size[1]]


def strips(shape: tuple[int, int, int]) -> Iterator[tuple[int, int]]:
    """First row and end of every strip of scores (K, H, W)."""
    rows = max(1, STRIP // max(1, shape[0] * shape[2]))
    return ((top, min(top + rows, shape[1])) for top in range(0, shape[1], rows))


def likeliest(views: Iterable[StripLogits]) -> Tensor:
    """(H, W) uint8 class ids on the CPU: the largest sum of the views' probabilities, of one view the largest logit."""
    kept = list(views)
    labels_HW = torch.empty(kept[0].shape[1:], dtype=torch.uint8)
    for top, bottom in strips(kept[0].shape):
        scores_KRW = kept[0].rows(top, bottom)
        if len(kept) > 1:
            scores_KRW = torch.softmax(scores_KRW, dim=0)
        for view in kept[1:]:
            scores_KRW += torch.softmax(view.rows(top, bottom), dim=0)
        labels_HW[top:bottom] = scores_KRW.max(dim=0).indices.to(torch.uint8).cpu()
    return labels_HW


class _Sources(NamedTuple):
    """Where rows come from: the source rows from `first` to before `last`; (R,) each, of these the one above, the one
    below, and the share of the latter."""

    first: int
    last: int
    upper: Tensor
    lower: Tensor
    share: Tensor


def _sources(length: int, target: int, top: int, bottom: int, device: torch.device) -> _Sources:
    """Of rows `top` to before `bottom` of a bilinear resize with half-pixel centres, in single precision as torch's."""
    step = torch.tensor(length / target, dtype=torch.float32, device=device)
    position = ((torch.arange(top, bottom, device=device) + 0.5) * step - 0.5).clamp(min=0)
    if length == target:
        position = torch.arange(top, bottom, device=device).float()
    upper = position.floor().long().clamp(max=length - 1)
    lower = (upper + 1).clamp(max=length - 1)
    share = (position - upper).clamp(0, 1)
    first, last = int(upper[0]), int(lower[-1]) + 1
    return _Sources(first, last, upper - first, lower - first, share)


def _blend(rows_KhW: Tensor, width: int, sources: _Sources) -> Tensor:
    """(K, R, width): source rows widened, then mixed."""
    wide = rows_KhW
    if rows_KhW.shape[2] != width:
        wide = F.interpolate(rows_KhW[None], size=(rows_KhW.shape[1], width), mode="bilinear", align_corners=False)[0]
    share = sources.share[:, None].to(wide.dtype)
    return (wide[:, sources.upper] * (1 - share)).addcmul_(wide[:, sources.lower], share)
