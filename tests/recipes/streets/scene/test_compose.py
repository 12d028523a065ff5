"""Street scenes: labels, depth and boxes against what geometry says."""

from __future__ import annotations

import numpy as np
import pytest

from umbel import keyed_generator
from umbel.recipes.streets.labels import CLASSES, ROAD, SIGN_KINDS, SKY, TRAFFIC_SIGN, VEHICLE, VEHICLE_KINDS
from umbel.recipes.streets.scene.compose import Scene, render_street, render_vehicle

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
