"""Test-time views of an image."""

from __future__ import annotations

from umbel import Size, TtaConfig, View, round_up
from umbel.tasks.detection.augment import fit_into
from umbel.tasks.detection.model.head import STRIDES


def make_views(base: Size, tta: TtaConfig, size: Size, *, keep_ratio: bool) -> list[View]:
    """Every scale of `base` (or explicit size), times every flip, on a canvas that the strides of the head divide.

    Args:
        base: height and width at scale 1.
        tta: scales or sizes, and flip.
        size: height and width of the original image.
        keep_ratio: keep its aspect within each of these sizes; else it is resized to all of the canvas.
    """
    frames = [(frame[0], frame[1]) for frame in tta.sizes] or [
        (round(base[0] * scale), round(base[1] * scale)) for scale in tta.scales
    ]
    views = []
    for frame in frames:
        canvas = round_up(frame, STRIDES[-1])
        content = canvas
        if keep_ratio:
            content = fit_into(size, canvas)
            canvas = round_up(content, STRIDES[-1])
        views += [View(content, hflip, canvas) for hflip in ((False, True) if tta.hflip else (False,))]
    return views
