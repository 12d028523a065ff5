"""The affine map from stored images to views, against points followed one at a time and OpenCV's own resize."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from umbel import Geometry, View

GREY = (128, 128, 128)
sides = st.integers(8, 60)
floats = st.floats(-1.0, 1.0)


@st.composite
def geometries(draw: st.DrawFn) -> Geometry:
    """Any invertible affine map between images of any sizes."""
    stored, size = (draw(sides), draw(sides)), (draw(sides), draw(sides))
    angle, scale, mirrored = draw(st.floats(-3.2, 3.2)), draw(st.floats(0.3, 3.0)), draw(st.booleans())
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[-cos if mirrored else cos, -sin], [-sin if mirrored else sin, cos]])
    return Geometry(np.column_stack([turn, [draw(floats) * 30, draw(floats) * 30]]), stored, size)


@given(geometries(), geometries(), st.lists(st.tuples(floats, floats), min_size=1, max_size=5))
def test_points_follow_the_map_and_maps_follow_each_other(
    first: Geometry, second: Geometry, points: list[tuple[float, float]]
) -> None:
    given_N2 = np.array(points) * 50
    (a, b, c), (d, e, f) = first.matrix
    naive = [(a * x + b * y + c, d * x + e * y + f) for x, y in given_N2]
    assert first.warp_points(given_N2) == pytest.approx(np.array(naive))
    both = first.then(second)
    assert both.warp_points(given_N2) == pytest.approx(second.warp_points(first.warp_points(given_N2)))
    assert (both.stored, both.size) == (first.stored, second.size)
    assert both.scale == pytest.approx(first.scale * second.scale)
    assert both.mirrored == (first.mirrored != second.mirrored)


@given(geometries(), floats, floats)
def test_a_box_is_the_smallest_around_its_corners(geometry: Geometry, left: float, top: float) -> None:
    box = np.array([[left * 40, top * 40, left * 40 + 7, top * 40 + 11]])
    corners = geometry.warp_points(box[0][[[0, 1], [2, 1], [0, 3], [2, 3]]])
    assert geometry.warp_boxes(box)[0] == pytest.approx([*corners.min(axis=0), *corners.max(axis=0)])


def test_no_boxes_and_no_points() -> None:
    geometry = Geometry(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), (4, 4), (4, 4))
    assert geometry.warp_boxes(np.zeros((0, 4), np.float32)).shape == (0, 4)
    assert geometry.warp_boxes(np.zeros((0, 4), np.float32)).dtype == np.float32
    assert geometry.warp_points(np.zeros((0, 2))).shape == (0, 2)


@given(geometries(), st.integers(0, 2**31))
def test_every_pixel_of_a_map_is_the_one_below_its_centre(geometry: Geometry, seed: int) -> None:
    stored = np.random.default_rng(seed).integers(1, 200, geometry.stored, dtype=np.uint8)
    warped = geometry.warp_map(stored, 255)
    assert warped.shape == geometry.size
    inverse = np.linalg.inv(np.vstack([geometry.matrix, [0, 0, 1]]))
    rows, columns = np.mgrid[: geometry.size[0], : geometry.size[1]]
    x, y = (inverse @ np.stack([columns + 0.5, rows + 0.5, np.ones(rows.shape)]).reshape(3, -1))[:2]
    clear = (np.abs(x - np.round(x)) > 0.05) & (np.abs(y - np.round(y)) > 0.05)  # beside a border either is right
    inside = (x > 0) & (y > 0) & (x < geometry.stored[1]) & (y < geometry.stored[0])
    wanted = np.full(x.shape, 255)
    wanted[inside] = stored[y[inside].astype(int), x[inside].astype(int)]
    assert (warped.reshape(-1)[clear] == wanted[clear]).all()


@pytest.mark.parametrize("hflip", [False, True])
def test_the_map_of_a_view_shows_what_the_view_shows(hflip: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 3)
    view = View((60, 72), hflip, (64, 96))
    shown = view.apply(torch.from_numpy(image).permute(2, 0, 1), GREY).permute(1, 2, 0).numpy()
    warped = Geometry.of_view(view, (40, 60)).warp_image(image, GREY)
    assert warped.shape == (64, 96, 3)
    inner = np.s_[2:58, 2:70]  # at its rim a view repeats the last pixel, a warp mixes in what lies outside
    assert np.abs(warped.astype(float) - shown)[inner].max() <= 2  # OpenCV rounds positions to 1/32 pixel
    assert (warped[62:, 75:] == 128).all()


def test_a_much_smaller_view_averages() -> None:
    """Bilinear sampling alone would see every eighth line."""
    stripes = np.zeros((160, 160, 3), np.uint8)
    stripes[::2] = 255
    small = Geometry.of_view(View((20, 20)), (160, 160)).warp_image(stripes, GREY)
    assert np.abs(small[2:-2, 2:-2].astype(float) - 127.5).max() < 3
