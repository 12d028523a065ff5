"""Polygons hide each other by depth and are cut at the camera."""

from __future__ import annotations

import numpy as np
import pytest

from umbel.recipes.streets.labels import BUILDING, SKY, VEHICLE
from umbel.recipes.streets.render.camera import Camera
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import rgb


def test_nearer_polygon_hides_the_farther_in_any_order() -> None:
    camera = Camera.aimed((60, 100), field_of_view=1.0, position=(0.0, 1.0, 0.0))
    square = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 2.0, 0.0], [-1.0, 2.0, 0.0]])
    drawn = []
    for order in ((4.0, 9.0), (9.0, 4.0)):
        canvas = Canvas(camera)
        for z in order:
            canvas.polygon(square + np.array([0.0, 0.0, z]), rgb(1, 1, 1), VEHICLE if z == 4.0 else BUILDING)
        drawn.append(canvas)
    np.testing.assert_array_equal(drawn[0].labels, drawn[1].labels)
    assert drawn[0].labels[30, 50] == VEHICLE
    assert 1 / drawn[0].inverse_depth[30, 50] == pytest.approx(4, rel=1e-5)


def test_polygon_through_the_camera_is_cut() -> None:
    camera = Camera.aimed((60, 100), field_of_view=1.0, position=(0.0, 1.0, 0.0))
    canvas = Canvas(camera)
    wall = np.array([[1.5, 0.0, -20.0], [1.5, 0.0, 200.0], [1.5, 3.0, 200.0], [1.5, 3.0, -20.0]])
    canvas.polygon(wall, rgb(1, 1, 1), BUILDING)
    assert (canvas.labels[:, -1] == BUILDING).all()  # the near end fills the right edge
    assert (canvas.labels[:, :50] == SKY).all()
    x = np.arange(60, 100)
    inside = canvas.labels[30, 60:] == BUILDING
    expected = (x - camera.centre[0]) / camera.focal / 1.5
    np.testing.assert_allclose(canvas.inverse_depth[30, 60:][inside], expected[inside], rtol=1e-4)
