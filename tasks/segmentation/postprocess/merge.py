"""The way back from the logits of test views to one label map, as mmsegmentation 1.2.2 averages them.

Legend: K classes, h and w pixels of a view, H and W pixels of the original image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from umbel import Size, View
from umbel.tasks.segmentation.model.blocks import upsample
from umbel.tasks.segmentation.postprocess.large import LARGE, StripLogits, likeliest
from umbel.tasks.segmentation.prediction import LabelMap


def content_logits(logits_Khw: Tensor, view: View) -> Tensor | StripLogits:
    """Float logits of a view at its own resolution, without the padding: (K, *view.size); of a large view in strips."""
    contiguous = logits_Khw[None].float().contiguous()  # here it costs least; torch would turn every enlarged map round
    if _is_large(logits_Khw.shape[0], view.canvas or view.size):
        return StripLogits(contiguous[0], view)
    canvas = upsample(contiguous, view.canvas or view.size)[0]
    return canvas[:, : view.size[0], : view.size[1]]


def original_logits(logits_Khw: Tensor | StripLogits, view: View, size: Size) -> Tensor | StripLogits:
    """Logits of a view's content in the frame of the original image: un-flipped, then resized to (K, H, W)."""
    if isinstance(logits_Khw, StripLogits):
        restored = logits_Khw.restored(size)
        return restored if _is_large(restored.shape[0], size) else restored.whole()
    if _is_large(logits_Khw.shape[0], size) and size != view.size:  # a small view of a large image
        return StripLogits(logits_Khw, replace(view, canvas=None), size)
    unflipped = logits_Khw.flip(-1) if view.hflip else logits_Khw
    return upsample(unflipped[None], size)[0]


def _is_large(classes: int, size: Size) -> bool:
    return classes * size[0] * size[1] > LARGE


def pool_views(views_KHW: Iterable[Tensor]) -> Tensor:
    """Class scores (K, H, W) from the logits of every view: the sum of their probabilities, of one view its logits.

    One map of probabilities is kept while the views come.
    """
    views = iter(views_KHW)
    scores, probabilities = next(views), None
    for logits in views:
        if probabilities is None:
            scores, probabilities = torch.softmax(scores, dim=0), torch.empty_like(scores)
        scores += torch.softmax(logits, dim=0, out=probabilities)
        del logits  # or it would be alive while the next view is computed
    return scores


def merge_views(views: Iterable[Tensor | StripLogits]) -> LabelMap:
    """The likeliest class of every pixel over all views, logits (K, H, W) each."""
    every = iter(views)
    first = [next(every)]
    if isinstance(first[0], StripLogits):
        return LabelMap(likeliest(cast("list[StripLogits]", [*first, *every])))
    scores = pool_views(cast("Iterator[Tensor]", _drawn(first, every)))  # all views are of one kind
    return LabelMap(scores.max(dim=0).indices.to(torch.uint8).cpu())


def _drawn(first: list[Tensor | StripLogits], others: Iterator[Tensor | StripLogits]) -> Iterator[Tensor | StripLogits]:
    """The views in turn, none of which is held here."""
    yield first.pop()
    yield from others
