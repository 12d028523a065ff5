"""Scenes: pictures with labels, depth and boxes that are exact, each a pure function of its generator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from umbel.recipes.streets.labels import SIDEWALK
from umbel.recipes.streets.render.camera import Camera, above
from umbel.recipes.streets.render.canvas import Canvas
from umbel.recipes.streets.render.lighting import random_light
from umbel.recipes.streets.render.weather import add_haze, cast_shadow, develop, light_lamps, wet_road
from umbel.recipes.streets.scene.buildings import draw_house, shadow_box
from umbel.recipes.streets.scene.ground import draw_ground
from umbel.recipes.streets.scene.sky import draw_sky, draw_skyline
from umbel.recipes.streets.scene.street import Street, own_lane, random_street
from umbel.recipes.streets.scene.vegetation import draw_plant
from umbel.recipes.streets.scene.vehicles import random_vehicle

_SUPERSAMPLING = 2

_FIRST_VEHICLE = 1000  # ids of the instance map: signs from 1, vehicles from here


@dataclass(frozen=True)
class Box:
    """A visible object: its kind, its id in the instance map and the extent of its pixels, x0, y0, x1, y1 exclusive."""

    kind: str
    instance: int
    extent: tuple[int, int, int, int]


@dataclass(frozen=True)
class Scene:
    """A rendered scene.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 ids of labels.CLASSES.
        depth_m: (H, W) float32, metres along the optical axis; 0 for the sky.
        instances: (H, W) int16 ids of signs and vehicles, 0 elsewhere.
        signs: the visible traffic signs.
        vehicles: the visible vehicles.
    """

    image: np.ndarray
    labels: np.ndarray
    depth_m: np.ndarray
    instances: np.ndarray
    signs: tuple[Box, ...]
    vehicles: tuple[Box, ...]


def render_street(rng: np.random.Generator, size: tuple[int, int], *, most_signs: int, signless: float) -> Scene:
    """A view along a street.

    Args:
        rng: source of everything random.
        size: height and width of the picture.
        most_signs: largest number of traffic signs.
        signless: share of scenes without any sign.
    """
    light = random_light(rng)
    count = 0 if rng.random() < signless else int(rng.integers(1, most_signs + 1))
    street = random_street(rng, light, signs=count, traffic=float(rng.uniform(0.3, 1.3)))
    pedestrian = rng.random() < 0.15
    lane = own_lane(street.road, rng)
    offset = street.road.half + rng.uniform(0.8, 1.6) if pedestrian else lane + rng.normal(0, 0.25)
    camera = Camera.aimed(
        (size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING),
        field_of_view=math.radians(rng.uniform(52, 64)),
        position=(float(offset), float(rng.uniform(1.25, 2.0)), 0.0),
        yaw=float(rng.normal(-0.12 if pedestrian else 0.0, 0.05)) + street.road.bend * 7,
        pitch=float(rng.normal(0.03, 0.03)),
        roll=float(rng.normal(0, 0.008)),
    )
    return _render(street, camera, rng)


def render_vehicle(rng: np.random.Generator, kind: str, size: tuple[int, int]) -> Scene:
    """A vehicle of one kind, seen from any side, that fills most of the picture; a street behind it."""
    light = random_light(rng)
    street = random_street(rng, light, signs=0, traffic=0.5)
    road = street.road
    heading = float(rng.choice([0.0, math.pi])) + float(rng.normal(0, 0.1))
    s, t = float(rng.uniform(15, 60)), float(rng.uniform(-0.6, 0.6)) * road.half
    vehicle = random_vehicle(rng, kind, road.place(s, t), heading, lit=light.lamps_lit)
    corners = vehicle.corners()
    middle = corners.mean(0)
    around = float(rng.uniform(0, 2 * math.pi))
    distance = float(np.ptp(corners[:, [0, 2]], axis=0).max()) * 0.8 + float(rng.uniform(4.5, 8))
    position = middle + distance * np.array([math.sin(around), 0.0, math.cos(around)])
    position[1] = rng.uniform(1.1, 2.4)
    towards = middle - position
    level = math.hypot(towards[0], towards[2])
    aim = {
        "position": (float(position[0]), float(position[1]), float(position[2])),
        "yaw": math.atan2(towards[0], towards[2]) + float(rng.normal(0, 0.012)),
        "pitch": math.atan2(-towards[1], level) + float(rng.normal(0, 0.012)),
        "roll": float(rng.normal(0, 0.015)),
    }
    pixels = (size[0] * _SUPERSAMPLING, size[1] * _SUPERSAMPLING)
    wide = Camera.aimed(pixels, field_of_view=1.0, **aim)  # type: ignore[arg-type]
    seen = wide.to_camera(corners)
    reach = float(np.abs(seen[:, :2] / seen[:, 2:]).max()) / float(rng.uniform(0.72, 0.95))
    camera = Camera.aimed(pixels, field_of_view=2 * math.atan(reach), **aim)  # type: ignore[arg-type]
    behind = float(seen[:, 2].max()) + 1.2
    _clear_view(street, camera, behind)
    street.vehicles.insert(0, vehicle)
    return _render(street, camera, rng)


def _clear_view(street: Street, camera: Camera, depth: float) -> None:
    """Take away what stands nearer than a depth."""

    def beyond(points: np.ndarray, margin: float = 0.0) -> bool:
        return bool(camera.to_camera(points)[:, 2].min() > depth + margin)

    street.houses = [house for house in street.houses if beyond(house.footprint())]
    street.plants = [plant for plant in street.plants if beyond(plant.foot[None], plant.spread)]
    street.lamps = [lamp for lamp in street.lamps if beyond(np.stack([lamp.foot, lamp.head]))]
    street.people = [person for person in street.people if beyond(person.foot[None])]
    street.vehicles = [vehicle for vehicle in street.vehicles if beyond(vehicle.corners())]


def _render(street: Street, camera: Camera, rng: np.random.Generator) -> Scene:
    light = street.light
    canvas = Canvas(camera)
    street.vehicles = [v for v in street.vehicles if camera.to_camera(v.corners())[:, 2].min() > 0.8]
    for number, sign in enumerate(street.signs, start=1):
        sign.draw_face(canvas, light, number)
        sign.draw_post(canvas, light)
    for number, vehicle in enumerate(street.vehicles, start=_FIRST_VEHICLE):
        vehicle.draw(canvas, light, number)
    for person in street.people:
        person.draw(canvas, light)
    for lamp in street.lamps:
        lamp.draw(canvas, light)
    for plant in street.plants:
        draw_plant(canvas, plant, light)
    for house in sorted(street.houses, key=lambda house: float(np.linalg.norm(house.front.mean(0) - camera.position))):
        draw_house(canvas, house, light)
    draw_ground(canvas, street.road, light, _shadows(canvas, street))
    draw_skyline(canvas, light, rng)
    draw_sky(canvas, light, rng)
    _finish_light(canvas, street)
    image = develop(_shrink(canvas.colour), light, rng)
    pick = (slice(None, None, _SUPERSAMPLING),) * 2
    inverse = canvas.inverse_depth[pick]
    depth = np.divide(1, inverse, out=np.zeros_like(inverse), where=inverse > 0)
    instances = canvas.instances[pick].copy()
    signs = _boxes(instances, [(sign.kind, number) for number, sign in enumerate(street.signs, start=1)])
    kinds = [(vehicle.kind, number) for number, vehicle in enumerate(street.vehicles, start=_FIRST_VEHICLE)]
    return Scene(
        image=image,
        labels=canvas.labels[pick].copy(),
        depth_m=depth,
        instances=instances,
        signs=signs,
        vehicles=_boxes(instances, kinds),
    )


def _shadows(canvas: Canvas, street: Street) -> np.ndarray:
    """Where the sun does not reach the ground: (H, W) uint8."""
    shadow = np.zeros(canvas.labels.shape, np.uint8)
    light = street.light
    if light.shadow < 0.9:
        for house in street.houses:
            cast_shadow(canvas, shadow, shadow_box(house.footprint(), house.height + house.gable * 0.5), light)
        for plant in street.plants:
            cast_shadow(canvas, shadow, plant.shadow(), light)
        for vehicle in street.vehicles:
            cast_shadow(canvas, shadow, vehicle.corners(), light)
        tops = [(lamp.foot, lamp.height) for lamp in street.lamps]
        tops += [(sign.foot, float(sign.centre[1])) for sign in street.signs]
        for point, height in tops:
            foot = point + np.array([[-0.06, 0, 0], [0.06, 0, 0], [0, 0, 0.06]])
            cast_shadow(canvas, shadow, np.concatenate([foot, above(foot, height)]), light)
    return shadow


def _finish_light(canvas: Canvas, street: Street) -> None:
    light = street.light
    _darken_underbodies(canvas, street)
    if light.lamps_lit:
        near = sorted((lamp.head for lamp in street.lamps), key=lambda head: float(head[2]))
        light_lamps(canvas, near[:7], light, headlights=light.night)
    if light.wet:
        wet_road(canvas, light)
    add_haze(canvas.colour, canvas.inverse_depth, light)


def _darken_underbodies(canvas: Canvas, street: Street) -> None:
    """Little sky reaches the ground below and beside a vehicle."""
    covered = np.zeros(canvas.labels.shape, np.uint8)
    for vehicle in street.vehicles:
        foot = vehicle.corners()[:4]
        middle = foot.mean(0)
        outline = canvas.outline((middle + (foot - middle) * (1.02, 1, 1.01))[[0, 1, 3, 2]])
        if outline is not None:
            cv2.fillPoly(covered, [np.round(outline * 8).astype(np.int32)], 255, shift=3)
    soft = cv2.blur(covered, (7, 5))
    where = np.nonzero((soft > 0) & (canvas.labels <= SIDEWALK))
    canvas.colour[where] *= 1 - soft[where][:, None] * np.float32(0.62 / 255)


def _shrink(colour: np.ndarray) -> np.ndarray:
    height, width = colour.shape[:2]
    size = (width // _SUPERSAMPLING, height // _SUPERSAMPLING)
    shrunk: np.ndarray = cv2.resize(colour, size, interpolation=cv2.INTER_AREA)
    return shrunk


def _boxes(instances: np.ndarray, wanted: list[tuple[str, int]], fewest: int = 24) -> tuple[Box, ...]:
    """Boxes of the instances (H, W) that show at least `fewest` pixels."""
    found = []
    for kind, number in wanted:
        rows, columns = np.nonzero(instances == number)
        if len(rows) >= fewest:
            extent = int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
            found.append(Box(kind, number, extent))
    return tuple(found)
