"""Sizes, canvases and flips of the test views."""

from __future__ import annotations

from umbel import TtaConfig, View
from umbel.tasks.segmentation.views import make_views


def test_views_of_720p_are_padded_to_32():
    views = make_views((720, 1280), TtaConfig(scales=[1.0, 1.2, 1.6], hflip=True), 32)
    assert [(view.size, view.canvas, view.hflip) for view in views] == [
        ((720, 1280), (736, 1280), False),
        ((720, 1280), (736, 1280), True),
        ((864, 1536), (864, 1536), False),
        ((864, 1536), (864, 1536), True),
        ((1152, 2048), (1152, 2048), False),
        ((1152, 2048), (1152, 2048), True),
    ]


def test_explicit_sizes_replace_scales():
    views = make_views((10, 10), TtaConfig(scales=[1.0, 2.0], sizes=[[33, 70]]), 32)
    assert views == [View((33, 70), canvas=(64, 96))]


def test_test_size_is_the_base_of_the_scales(make_segmentation):
    config = {"tta": TtaConfig(scales=[0.5])}
    assert make_segmentation(config).views((101, 200))[0].size == (51, 100)
    assert make_segmentation(config, test_size=[64, 90]).views((101, 200))[0].size == (32, 45)
