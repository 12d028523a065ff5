"""Test-time views of an image and the way back to one label map.

Every view is sampled from the original, as in mmsegmentation 1.2.2; PaddleSeg samples each from the one before.

Legend: K classes, h and w pixels of a view, H and W pixels of the original image.
"""

from __future__ import annotations

from umbel import Size, TtaConfig, View, round_up


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
