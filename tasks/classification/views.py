"""Test-time views of an image, after the paper's Table 5 (docs/paper.md)."""

from __future__ import annotations

from umbel import Size, TtaConfig, View, round_up


def make_views(base: Size, tta: TtaConfig, multiple: int) -> list[View]:
    """Every scale of `base` (or explicit size), times every flip; bicubic, without keeping the aspect.

    Args:
        base: height and width at scale 1.
        tta: scales or sizes, and flip.
        multiple: sides are rounded up to this, so that no pixel falls off the last feature cell.
    """
    sizes: list[Size] = [(height, width) for height, width in tta.sizes]
    sizes = sizes or [(_scaled(base[0], scale), _scaled(base[1], scale)) for scale in tta.scales]
    flips = (False, True) if tta.hflip else (False,)
    return [View(round_up(size, multiple), hflip=flip, interpolation="bicubic") for size in sizes for flip in flips]


def _scaled(side: int, scale: float) -> int:
    return max(1, int(side * scale + 0.5))
