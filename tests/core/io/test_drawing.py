"""Colours and labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import palette, put_label


@pytest.mark.parametrize("count", [0, 1, 2, 19, 80])
def test_palette_has_distinct_colours(count):
    colours = palette(count)
    assert colours.shape == (count, 3)
    assert colours.dtype == np.uint8
    assert len({tuple(colour) for colour in colours.tolist()}) == count


def test_palette_begins_the_same_for_every_count():
    assert np.array_equal(palette(80)[:5], palette(5))


def test_neighbouring_colours_differ_clearly():
    colours = palette(40).astype(int)
    assert np.abs(np.diff(colours, axis=0)).sum(1).min() > 60


def test_label_draws_box_and_text_at_the_corner():
    image = np.zeros((100, 200, 3), np.uint8)
    put_label(image, "car 0.9", (20, 60), (250, 200, 30))
    drawn = np.argwhere(image.any(-1))
    assert drawn[:, 0].max() == 60
    assert drawn[:, 1].min() == 20
    assert (image.reshape(-1, 3) == (250, 200, 30)).all(1).sum() > 100
    assert drawn[:, 0].min() > 30


@pytest.mark.parametrize(("colour", "ink"), [((10, 10, 60), 255), ((240, 240, 200), 0)])
def test_ink_contrasts_with_the_box(colour, ink):
    image = np.full((60, 120, 3), colour, np.uint8)
    put_label(image, "HHH", (5, 50), colour)
    assert np.abs(image.astype(int) - ink).max(-1).min() < 60


@settings(deadline=None, max_examples=50)
@given(
    st.integers(1, 80),
    st.integers(1, 80),
    st.text(max_size=20),
    st.tuples(st.integers(-99, 199), st.integers(-99, 199)),
)
def test_any_text_at_any_corner_is_harmless(height, width, text, corner):
    frame = np.full((height + 2, width + 2, 3), 7, np.uint8)
    put_label(frame[1:-1, 1:-1], text, corner, (200, 10, 10))
    border = np.ones((height + 2, width + 2), bool)
    border[1:-1, 1:-1] = False
    assert (frame[border] == 7).all()
    assert (frame[1:-1, 1:-1] != 7).any()


def test_a_view_is_drawn_into():
    image = np.zeros((50, 100, 3), np.uint8)
    put_label(image[::-1, ::-1], "x", (np.int64(3), np.float32(20.5)), (255, 0, 0))
    assert image.any()
