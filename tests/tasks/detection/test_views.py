"""Sizes, canvases and flips of the test views."""

from __future__ import annotations

from umbel import TtaConfig, View


def test_views_squash_by_default(make_task):
    assert make_task(size=(64, 96)).views((50, 70)) == [View((64, 96), False, (64, 96))]
    assert make_task(test_size=[100, 100]).views((50, 70)) == [View((128, 128), False, (128, 128))]


def test_views_of_scales_sizes_and_flips(make_task):
    scaled = make_task(size=(448, 448), tta=TtaConfig(scales=[1.0, 1.2], hflip=True)).views((50, 70))
    assert [(v.size, v.hflip) for v in scaled] == [
        ((448, 448), False),
        ((448, 448), True),
        ((544, 544), False),
        ((544, 544), True),
    ]
    sized = make_task(tta=TtaConfig(sizes=[[2048, 2048], [1568, 1568]])).views((2048, 2048))
    assert [v.size for v in sized] == [(2048, 2048), (1568, 1568)]


def test_views_that_keep_the_ratio_pad_to_the_stride(make_task):
    view = make_task(size=(128, 128), keep_ratio=True).views((50, 100))[0]
    assert (view.size, view.canvas) == ((64, 128), (64, 128))
    view = make_task(size=(128, 128), keep_ratio=True).views((70, 100))[0]
    assert (view.size, view.canvas) == ((90, 128), (96, 128))
