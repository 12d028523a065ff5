"""The camera takes points to pixels and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import keyed_generator
from umbel.recipes.streets.render.camera import Camera, cross


@given(
    position=st.tuples(st.floats(-5, 5), st.floats(0.5, 5), st.floats(-5, 5)),
    angles=st.tuples(st.floats(-3, 3), st.floats(-0.4, 0.4), st.floats(-0.2, 0.2)),
    pixel=st.tuples(st.floats(0, 99), st.floats(0, 59)),
    depth=st.floats(1, 100),
)
@settings(max_examples=60, deadline=None)
def test_unproject_inverts_project(
    position: tuple[float, float, float],
    angles: tuple[float, float, float],
    pixel: tuple[float, float],
    depth: float,
) -> None:
    yaw, pitch, roll = angles
    camera = Camera.aimed((60, 100), field_of_view=1.0, position=position, yaw=yaw, pitch=pitch, roll=roll)
    np.testing.assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-9)
    point = camera.unproject(np.float32([pixel[0]]), np.float32([pixel[1]]), np.float32([depth]))[0]
    x, y, found = camera.project(point)
    assert (x, y) == pytest.approx(pixel, abs=0.05)
    assert found == pytest.approx(depth, rel=1e-4, abs=1e-4)


def test_camera_looks_where_it_is_told() -> None:
    camera = Camera.aimed((60, 100), field_of_view=1.0, position=(0.0, 1.0, 0.0))
    x, y, depth = camera.project(np.array([2.0, 0.0, 10.0]))
    assert depth == pytest.approx(10)
    assert x > camera.centre[0]  # to the right
    assert y > camera.centre[1]  # on the ground, below the horizon
    turned = Camera.aimed((60, 100), field_of_view=1.0, position=(0.0, 1.0, 0.0), yaw=0.2, pitch=0.1)
    x, y, _ = turned.project(np.array([0.0, 1.0, 10.0]))
    assert x < turned.centre[0]
    assert y < turned.centre[1]


def test_cross_is_that_of_numpy() -> None:
    first, second = keyed_generator(0, "arithmetic").normal(size=(2, 3))
    np.testing.assert_allclose(cross(first, second), np.cross(first, second))
