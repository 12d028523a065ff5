"""What stands where: a random street with houses, plants, lamps, vehicles, people and signs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from umbel.recipes.streets.labels import SIGN_KINDS
from umbel.recipes.streets.render.lighting import Light
from umbel.recipes.streets.scene.buildings import House, random_house
from umbel.recipes.streets.scene.ground import Road
from umbel.recipes.streets.scene.people import Person, random_person
from umbel.recipes.streets.scene.posts import Lamp
from umbel.recipes.streets.scene.signs import Sign, random_sign
from umbel.recipes.streets.scene.vegetation import Plant, random_plant
from umbel.recipes.streets.scene.vehicles import Vehicle, random_vehicle

_END = 130.0

_TRAFFIC = ("car", "van", "truck", "bus", "motorcycle", "pickup")

_TRAFFIC_SHARES = (0.58, 0.13, 0.08, 0.06, 0.08, 0.07)

_PAVINGS = ((0.56, 0.55, 0.53), (0.62, 0.58, 0.52), (0.50, 0.49, 0.49), (0.60, 0.47, 0.42))


@dataclass
class Street:
    """A street without a camera."""

    road: Road
    light: Light
    houses: list[House] = field(default_factory=list)
    plants: list[Plant] = field(default_factory=list)
    lamps: list[Lamp] = field(default_factory=list)
    vehicles: list[Vehicle] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    signs: list[Sign] = field(default_factory=list)


def random_street(rng: np.random.Generator, light: Light, *, signs: int, traffic: float = 1.0) -> Street:
    """A street.

    Args:
        rng: source of everything random.
        light: the light.
        signs: number of traffic signs.
        traffic: how busy it is; 0 for no vehicles.
    """
    tall = float(rng.random())
    street = Street(_random_road(rng, verge=bool(tall < 0.5)), light)
    for side in (-1.0, 1.0):
        _add_houses(street, rng, side, tall)
    _add_signs(street, rng, signs)
    for side in (-1.0, 1.0):
        _add_plants(street, rng, side, tall)
        _add_lamps(street, rng, side)
        _add_people(street, rng, side, traffic)
        _add_vehicles(street, rng, side, traffic)
    return street


def own_lane(road: Road, rng: np.random.Generator) -> float:
    """Offset of the middle of a lane that drives ahead."""
    ahead = max(1, road.lanes // 2)
    return (road.lanes % 2) * road.lane_width / 2 + road.lane_width * (int(rng.integers(ahead)) + 0.5)


def _random_road(rng: np.random.Generator, *, verge: bool) -> Road:
    lanes = int(rng.choice([2, 3, 4], p=(0.66, 0.12, 0.22)))
    crossing = float(rng.uniform(20, 55)) if rng.random() < 0.45 else None
    bend = 0.0 if rng.random() < 0.4 or crossing is not None else float(rng.uniform(-1, 1)) / 130
    return Road(
        bend=bend,
        lanes=lanes,
        lane_width=float(rng.uniform(2.9, 3.5)),
        parking=2.2 if rng.random() < 0.5 else 0.0,
        sidewalk=float(rng.uniform(2.0, 3.8)),
        crossing=crossing,
        crossing_half=float(rng.uniform(3.2, 5.0)),
        zebra=bool(rng.random() < 0.75),
        double_line=bool(rng.random() < 0.35),
        paving=_PAVINGS[int(rng.integers(len(_PAVINGS)))],
        verge=verge,
        seed=int(rng.integers(1 << 16)),
    )


def _add_houses(street: Street, rng: np.random.Generator, side: float, tall: float) -> None:
    road = street.road
    setback = float(rng.uniform(0.0, 0.4)) if tall >= 0.5 else float(rng.uniform(2.5, 7.0))
    park = road.verge and rng.random() < 0.2  # no houses on this side
    offset = side * (road.half + road.sidewalk + setback)
    s = -34.0
    while s < _END:
        length = float(rng.uniform(8, 17))
        gap = 0.0 if rng.random() < tall else float(rng.uniform(2.5, 7.0))
        house = random_house(rng, np.zeros((2, 3)), tall)
        ends = np.stack([road.place(s, offset), road.place(s + length, offset)])
        blocked = any(road.is_crossing(float(at), 2.2) for at in np.linspace(s, s + length, 5))
        if blocked and road.crossing is not None and s + 7 < road.crossing - road.crossing_half - 2.2:
            ends[1] = road.place(road.crossing - road.crossing_half - 2.3, offset)
            blocked = False
        if not blocked and not park:
            street.houses.append(_fronted(house, ends[::-1] if side > 0 else ends))
        s += length + gap
        if blocked and road.crossing is not None:
            s = max(s - length, road.crossing + road.crossing_half + 2.3)


def _fronted(house: House, front: np.ndarray) -> House:
    return House(**{**vars(house), "front": front})


def _add_plants(street: Street, rng: np.random.Generator, side: float, tall: float) -> None:
    road = street.road
    spacing = float(rng.uniform(8, 18))
    shape = str(rng.choice(["broad", "broad", "tall", "conifer"]))
    if rng.random() < 0.75:
        offset = road.half + (0.9 if not road.verge else road.sidewalk + 1.2)
        for s in np.arange(3 + rng.uniform(0, spacing), 110, spacing):
            if road.is_crossing(s, 4) or rng.random() < 0.2 or _hides_sign(street, s, side):
                continue
            plant = random_plant(rng, road.place(s, side * offset), shape)
            if not road.verge:  # a street tree is trimmed to leave the road free
                plant = Plant(**{**vars(plant), "spread": min(plant.spread, road.half * 0.5, 2.2)})
            street.plants.append(plant)
    if not road.verge:
        return
    for s in np.arange(2.0, 80, 2.4):
        if road.is_crossing(s, 3) or rng.random() < 0.45:
            continue
        offset = road.half + road.sidewalk + rng.uniform(0.7, 1.6)
        street.plants.append(random_plant(rng, road.place(s, side * offset), "bush"))
    for _ in range(int(rng.integers(3, 10))):
        s, offset = rng.uniform(4, 120), road.half + road.sidewalk + rng.uniform(15, 40)
        if not road.is_crossing(s, 4):
            street.plants.append(random_plant(rng, road.place(s, side * offset), str(rng.choice(["broad", "conifer"]))))


def _hides_sign(street: Street, s: float, side: float) -> bool:
    """Something here would stand in front of a sign."""
    return any(sign.foot[2] - 11 < s < sign.foot[2] + 1.5 and _side(street, sign) == side for sign in street.signs)


def _side(street: Street, sign: Sign) -> float:
    return math.copysign(1.0, sign.foot[0] - float(street.road.middle(sign.foot[2])))


def _add_lamps(street: Street, rng: np.random.Generator, side: float) -> None:
    road = street.road
    start = rng.uniform(5, 18) if side > 0 else rng.uniform(14, 30)
    height = float(rng.uniform(5.5, 7.5))
    for s in np.arange(start, 110, 27.0):
        if not road.is_crossing(s, 1) and not _hides_sign(street, s, side):
            foot = road.place(s, side * (road.half + 0.55))
            street.lamps.append(Lamp(foot, height, np.array([-side * 1.7, 0.15, 0.0])))


def _add_people(street: Street, rng: np.random.Generator, side: float, traffic: float) -> None:
    road = street.road
    for _ in range(int(rng.poisson(2.6 * traffic))):
        s, offset = rng.uniform(7, 45), road.half + rng.uniform(0.6, road.sidewalk - 0.2)
        if not road.is_crossing(s):
            street.people.append(random_person(rng, road.place(s, side * offset)))
    if road.crossing is not None and road.zebra and rng.random() < 0.35 * traffic:
        s = road.crossing - road.crossing_half - 2.8
        street.people.append(random_person(rng, road.place(s, side * rng.uniform(0, road.half))))


def _add_vehicles(street: Street, rng: np.random.Generator, side: float, traffic: float) -> None:
    road, lit = street.road, street.light.lamps_lit or bool(street.light.wet)
    if road.parking and traffic:
        fullness = rng.uniform(0.2, 0.9)
        for s in np.arange(rng.uniform(-8, -2), 75, 6.4):
            if rng.random() < fullness and not road.is_crossing(s, 8.5):
                kind = str(rng.choice(["car", "van", "pickup"], p=(0.76, 0.14, 0.10)))
                turn = road.heading(s) + (0.0 if side > 0 or rng.random() < 0.2 else math.pi)
                where = road.place(s + rng.uniform(-0.4, 0.4), side * (road.half - 1.05))
                street.vehicles.append(random_vehicle(rng, kind, where, turn, lit=False))
    ahead = road.lanes // 2 + (road.lanes % 2 if side > 0 else 0)
    for lane in range(ahead):
        s = float(rng.uniform(11, 26)) if side > 0 else float(rng.uniform(4, 22))
        offset = road.lane_width * (lane + 0.5 + (0.5 * (road.lanes % 2) if side < 0 else -0.5 * (road.lanes % 2)))
        while s < 95:
            if rng.random() < 0.5 * traffic:
                kind = str(rng.choice(_TRAFFIC, p=_TRAFFIC_SHARES))
                long = kind in ("bus", "truck")
                s += 5 if long else 0
                turn = road.heading(s) + (0.0 if side > 0 else math.pi)
                where = road.place(s, side * offset + rng.normal(0, 0.15))
                street.vehicles.append(random_vehicle(rng, kind, where, turn, lit=lit))
                s += 5 if long else 0
            s += float(rng.uniform(8, 24))


def _add_signs(street: Street, rng: np.random.Generator, count: int) -> None:
    """Signs with distinct places, nearer ones more often on the own side."""
    road = street.road
    places = rng.permutation(np.arange(5.0, 15.5, 2.6))
    for s in places[:count]:
        side = 1.0 if rng.random() < 0.68 else -1.0
        at = float(s) + float(rng.uniform(0, 2)) + (2.5 if side < 0 else 0.0)
        if road.is_crossing(at):
            at = float(road.crossing or 0.0) - road.crossing_half - 1.5
        kind = SIGN_KINDS[int(rng.integers(len(SIGN_KINDS)))]
        reach = float(rng.uniform(2.0, road.half)) if at > 14 and rng.random() < 0.6 else 0.0
        foot = road.place(at, side * (road.half + float(rng.uniform(0.4, 0.8))))
        if any(abs(other.foot[2] - at) < 1.2 for other in street.signs):
            continue
        street.signs.append(
            random_sign(rng, kind, foot, towards_road=-side, reach=reach, size=float(rng.uniform(1.2, 1.6)))
        )
