"""Street scenes: labels, depth and boxes against what geometry says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import keyed_generator
from umbel.recipes.streets.camera import Camera, cross
from umbel.recipes.streets.canvas import Canvas
from umbel.recipes.streets.labels import BUILDING, CLASSES, ROAD, SIGN_KINDS, SKY, TRAFFIC_SIGN, VEHICLE, VEHICLE_KINDS
from umbel.recipes.streets.lighting import rgb
from umbel.recipes.streets.scene import Scene, render_street, render_vehicle
from umbel.recipes.streets.sign_faces import VARIANTS, face, outline
from umbel.recipes.streets.textures import wrapped

SIZE = (96, 160)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render_street(keyed_generator(7, "test", index), SIZE, most_signs=4, signless=0.0) for index in range(10)]


def test_arrays_of_a_scene_agree_in_size_and_type(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.image.shape == (*SIZE, 3)
        assert scene.image.dtype == np.uint8
        assert scene.labels.shape == scene.depth_m.shape == scene.instances.shape == SIZE
        assert scene.labels.dtype == np.uint8
        assert scene.labels.max() < len(CLASSES)


def test_only_the_sky_has_no_depth(scenes: list[Scene]) -> None:
    for scene in scenes:
        np.testing.assert_array_equal(scene.depth_m == 0, scene.labels == SKY)
        assert scene.depth_m.max() < 655.35  # fits 16 bits of centimetres


def test_road_comes_nearer_towards_the_lower_edge(scenes: list[Scene]) -> None:
    for scene in scenes:
        road = (scene.labels[:-1] == ROAD) & (scene.labels[1:] == ROAD)
        assert road.any()
        assert (scene.depth_m[1:][road] < scene.depth_m[:-1][road]).all()


def test_inverse_depth_of_the_road_is_one_plane(scenes: list[Scene]) -> None:
    for scene in scenes:
        rows, columns = np.nonzero(scene.labels == ROAD)
        pixels = np.stack([columns, rows, np.ones(len(rows))], axis=1)
        inverse = 1 / scene.depth_m[rows, columns].astype(np.float64)
        plane, *_ = np.linalg.lstsq(pixels, inverse, rcond=None)
        np.testing.assert_allclose(pixels @ plane, inverse, atol=2e-6)


def test_boxes_are_the_extent_of_the_instances(scenes: list[Scene]) -> None:
    assert sum(len(scene.signs) for scene in scenes) >= 10
    for scene in scenes:
        for box in (*scene.signs, *scene.vehicles):
            x0, y0, x1, y1 = box.extent
            mask = scene.instances == box.instance
            assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0
            edges = mask[y0, x0:x1], mask[y1 - 1, x0:x1], mask[y0:y1, x0], mask[y0:y1, x1 - 1]
            assert all(edge.any() for edge in edges)


def test_instances_lie_on_their_class(scenes: list[Scene]) -> None:
    for scene in scenes:
        for boxes, label, kinds in ((scene.signs, TRAFFIC_SIGN, SIGN_KINDS), (scene.vehicles, VEHICLE, VEHICLE_KINDS)):
            for box in boxes:
                assert box.kind in kinds
                assert (scene.labels[scene.instances == box.instance] == label).all()


def test_scene_is_a_function_of_its_key() -> None:
    first, again, other = (
        render_street(keyed_generator(seed, "same"), SIZE, most_signs=2, signless=0.0) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.depth_m, again.depth_m)
    assert first.signs == again.signs
    assert (first.image != other.image).any()


@pytest.mark.parametrize("kind", VEHICLE_KINDS)
def test_vehicle_fills_its_picture(kind: str) -> None:
    for index in range(6):
        scene = render_vehicle(keyed_generator(3, kind, index), kind, (64, 64))
        shown = scene.vehicles[0]
        x0, y0, x1, y1 = shown.extent
        assert shown.kind == kind
        assert max(x1 - x0, y1 - y0) > 64 * 0.5
        assert x0 < 32 < x1
        assert y0 < 36
        assert y1 > 28


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


@pytest.mark.parametrize("kind", SIGN_KINDS)
def test_sign_faces_differ(kind: str) -> None:
    assert outline(kind).min() >= 0
    assert outline(kind).max() <= 1
    pictures = [face(kind, variant, 0) for variant in VARIANTS[kind]]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert face(kind, VARIANTS[kind][0], 2).shape == (32, 32, 4)


def test_fast_arithmetic_matches_numpy() -> None:
    rng = keyed_generator(0, "arithmetic")
    first, second = rng.normal(size=(2, 3))
    np.testing.assert_allclose(cross(first, second), np.cross(first, second))
    values = rng.uniform(-90, 90, 500).astype(np.float32)
    difference = np.abs(wrapped(values, 0.8) - np.mod(values.astype(np.float64), 0.8))
    assert np.minimum(difference, 0.8 - difference).max() < 1e-4
    assert math.isfinite(float(wrapped(values, 8.0).max()))
