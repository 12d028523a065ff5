"""Houses along the road: walls with brick or plaster, windows, doors, shops and roofs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from umbel.recipes.streets.labels import BUILDING
from umbel.recipes.streets.render.canvas import Canvas, Shader
from umbel.recipes.streets.render.lighting import Light
from umbel.recipes.streets.render.textures import cell_values, lookup, wrapped

_WALLS = (
    (0.58, 0.33, 0.26), (0.66, 0.42, 0.32), (0.50, 0.36, 0.30), (0.82, 0.75, 0.62),
    (0.86, 0.82, 0.74), (0.72, 0.70, 0.66), (0.80, 0.66, 0.46), (0.62, 0.66, 0.70),
    (0.84, 0.72, 0.66), (0.60, 0.58, 0.54), (0.70, 0.76, 0.70), (0.90, 0.88, 0.84),
)  # fmt: skip

_ROOFS = ((0.42, 0.20, 0.15), (0.30, 0.28, 0.29), (0.24, 0.25, 0.29), (0.50, 0.30, 0.2))

_SIGNBOARDS = ((0.65, 0.12, 0.12), (0.1, 0.25, 0.5), (0.12, 0.4, 0.25), (0.85, 0.65, 0.15), (0.2, 0.2, 0.22))


@dataclass(frozen=True)
class House:
    """A block with one front along the road.

    Args:
        front: (2, 3) world points of the front's foot, in the order that leaves the house behind it.
        depth: metres from front to back.
        height: of the walls, metres.
        gable: height of the pitched roof, 0 for a flat one.
        wall: (3,) colour.
        roof: (3,) colour.
        brick: brickwork rather than plaster.
        glazed: a modern front, mostly glass.
        shop: a shop window on the ground floor.
        bay: width of a window axis in metres.
        storey: height of a storey in metres.
        salt: of the house's random details.
    """

    front: np.ndarray
    depth: float
    height: float
    gable: float
    wall: tuple[float, float, float]
    roof: tuple[float, float, float]
    brick: bool
    glazed: bool
    shop: bool
    bay: float
    storey: float
    salt: int

    def footprint(self) -> np.ndarray:
        """Corners (4, 3): front left, front right, back right, back left as seen from the road."""
        left, right = self.front
        along = (right - left) / np.linalg.norm(right - left)
        inwards = np.array([-along[2], 0.0, along[0]]) * self.depth
        return np.stack([left, right, right + inwards, left + inwards])


def random_house(rng: np.random.Generator, front: np.ndarray, tall: float) -> House:
    """A house on a front (2, 3); `tall` 0..1 goes from village to city."""
    storey = float(rng.uniform(2.8, 3.5))
    floors = int(rng.integers(1, 3 + round(4 * tall))) + 1
    glazed = bool(tall > 0.5 and rng.random() < 0.3)
    return House(
        front=front,
        depth=float(rng.uniform(9, 14)),
        height=floors * storey + 0.6,
        gable=float(rng.uniform(1.8, 4.0)) if rng.random() < 0.75 - 0.5 * tall else 0.0,
        wall=_WALLS[int(rng.integers(len(_WALLS)))],
        roof=_ROOFS[int(rng.integers(len(_ROOFS)))],
        brick=bool(rng.random() < 0.4),
        glazed=glazed,
        shop=bool(rng.random() < 0.25 + 0.35 * tall),
        bay=float(rng.uniform(2.2, 3.6)),
        storey=storey,
        salt=int(rng.integers(1 << 20)),
    )


def draw_house(canvas: Canvas, house: House, light: Light) -> None:
    """Walls and roof of a house."""
    foot = house.footprint()
    middle = foot.mean(0)
    rise = np.array([0.0, house.height, 0.0])
    for index in range(4):
        start, end = foot[index], foot[(index + 1) % 4]
        normal = np.array([end[2] - start[2], 0.0, start[0] - end[0]])
        normal *= np.sign((start - middle) @ normal) / np.linalg.norm(normal)
        if (canvas.camera.position - start) @ normal <= 0:
            continue
        wall = np.stack([start, end, end + rise, start + rise])
        canvas.polygon(
            wall,
            _facade(house, start, end, normal=normal, light=light, focal=canvas.camera.focal, side=index),
            BUILDING,
        )
    if house.gable:
        _draw_roof(canvas, house, foot + rise, light)


def _draw_roof(canvas: Canvas, house: House, eaves: np.ndarray, light: Light) -> None:
    """Two slopes whose ridge runs along the front, and the gables."""
    up = np.array([0.0, house.gable, 0.0])
    ridge = (eaves[0] + eaves[3]) / 2 + up, (eaves[1] + eaves[2]) / 2 + up
    across = (eaves[3] - eaves[0]) / house.depth
    lip = -across * 0.45 - np.array([0.0, 0.2, 0.0])
    back = across * 0.45 - np.array([0.0, 0.2, 0.0])
    slopes = (
        np.stack([eaves[0] + lip, eaves[1] + lip, ridge[1], ridge[0]]),
        np.stack([eaves[2] + back, eaves[3] + back, ridge[0], ridge[1]]),
    )
    tiles = np.array([0.88, 0.9, 0.94]) if light.snow else np.array(house.roof)
    for slope, side in zip(slopes, (-across, across), strict=True):
        normal = side * house.gable + np.array([0.0, house.depth / 2, 0.0])
        normal /= np.linalg.norm(normal)
        colour = light.paint(tiles, normal)

        def shader(world: np.ndarray, depth: np.ndarray, colour: np.ndarray = colour) -> np.ndarray:
            rows = (np.mod(world[:, 1], 0.32) < 0.07) * np.clip(0.1 * canvas.camera.focal / depth / 3, 0, 1)
            tone = 1 - 0.22 * rows + 0.05 * lookup("fine", world[:, 0] + world[:, 2], world[:, 1], 6)
            tiled: np.ndarray = tone[:, None].astype(np.float32) * colour
            return tiled

        canvas.polygon(slope, shader, BUILDING)
    for first, second, top in ((eaves[0], eaves[3], ridge[0]), (eaves[1], eaves[2], ridge[1])):
        side = first - eaves.mean(0)
        normal = np.array([second[2] - first[2], 0.0, first[0] - second[0]])
        normal *= np.sign(side @ normal) / np.linalg.norm(normal)
        canvas.polygon(np.stack([first, second, top]), light.paint(np.array(house.wall), normal), BUILDING)


def _facade(
    house: House, start: np.ndarray, end: np.ndarray, *, normal: np.ndarray, light: Light, focal: float, side: int
) -> Shader:
    """Colours of one wall by metres along it and above the ground."""
    length = float(np.linalg.norm(end - start))
    along = ((end - start) / length).astype(np.float32)
    lit_wall = light.shade(normal).astype(np.float32)
    salt = house.salt + side * 7919
    front = side == 0
    bays = max(1, round(length / house.bay))
    bay = np.float32(length / bays)
    storey = np.float32(house.storey)

    def shader(world: np.ndarray, depth: np.ndarray) -> np.ndarray:
        u, v = (world - start.astype(np.float32)) @ along, world[:, 1]
        detail = np.clip(np.float32(focal * 0.035) / depth, 0, 1)
        colours = np.zeros((len(u), 4), np.float32)
        colours[:, :3] = _masonry(house, u, v, detail)[:, None] * np.array(house.wall, np.float32)
        column, floor = np.floor(u / bay), np.floor(v / storey)
        du, dv = u / bay - column, v / storey - floor
        ground = floor == 0
        top = v > house.height - 0.6
        wide, low, high = (0.46, 0.12, 0.9) if house.glazed else (0.25, 0.28, 0.78)
        reach = np.abs(du - 0.5)
        tall = (dv > low) & (dv < high)
        hole = (reach < wide) & tall & ~top
        frame = (reach < wide + 0.05) & (dv > low - 0.05) & (dv < high + 0.035) & ~top
        hole &= ~((reach < 0.014) & (detail > 0.3)) | (house.glazed & ~ground)
        if front:
            door_bay = house.salt % bays
            door = ground & (column == door_bay) & (reach < 0.19) & (dv < 0.74)
            if house.shop:
                frame = np.where(ground, (v > 0.35) & (v < storey - 0.1), frame)
                hole = np.where(ground, (reach < 0.45) & (v > 0.55) & (v < storey - 0.75), hole)
            hole &= ~door
            frame &= ~(ground & (column == door_bay) & ~door) | np.bool_(house.shop)
        elif house.salt & 1 or side == 2:
            hole &= False  # a blind wall between neighbours
            frame &= False
        trim = np.clip(np.array(house.wall) * 0.5 + 0.45, 0, 1)
        colours[frame, :3] = trim
        colours[top & (v > house.height - 0.35), :3] = trim * 0.85
        if front and house.shop:
            board = _SIGNBOARDS[house.salt % len(_SIGNBOARDS)]
            colours[ground & (v > storey - 0.7) & (v < storey - 0.1), :3] = board
            letters = ground & (np.abs(v - storey + 0.4) < 0.16) & (np.abs(u - length / 2) < length * 0.3)
            letters &= cell_values(u / 0.16, np.zeros_like(u), salt) > 0.4
            colours[letters, :3] = 0.92
        if front:
            colours[door, :3] = _SIGNBOARDS[(house.salt >> 3) % len(_SIGNBOARDS)]
        colours[:, :3] *= lit_wall
        colours[:, :3] *= (0.82 + 0.18 * np.clip(v / 1.5, 0, 1))[:, None]  # dirt and less sky near the ground
        value = cell_values(column + 64, floor + 64, salt)
        _glaze(colours, hole, value, dv, light)
        return colours

    return shader


def _masonry(house: House, u: np.ndarray, v: np.ndarray, detail: np.ndarray) -> np.ndarray:
    """Brightness (P,) of the bare wall."""
    tone: np.ndarray = 1 + 0.035 * lookup("cloud", u, v, 9) + 0.03 * lookup("fine", u, v, 31) * detail
    if house.brick:
        course = np.floor(v / 0.15)
        shifted = u / 0.42 + 0.5 * wrapped(course, 2)
        mortar = (wrapped(v, 0.15) < 0.028) | (wrapped(shifted, 1) < 0.07)
        tone += detail * (0.22 * (cell_values(shifted + 64, course + 64, house.salt) - 0.5) + 0.28 * mortar)
    elif house.salt & 2:
        tone -= 0.1 * detail * (wrapped(v, 0.6) < 0.03)
    return tone


def _glaze(colours: np.ndarray, hole: np.ndarray, value: np.ndarray, dv: np.ndarray, light: Light) -> None:
    """Window panes: the sky's reflection, curtains, and at night the lit rooms; in place."""
    panes = value[hole]
    mirror = (light.zenith * 0.45 + light.horizon * 0.2).astype(np.float32)
    dark = np.array([0.10, 0.12, 0.14], np.float32) * (0.25 if light.night else 1.0)
    share = (0.25 + 0.6 * dv[hole] * (0.4 + 0.6 * panes))[:, None]
    glass = dark * (1 - share) + mirror * share
    curtain = (np.mod(panes * 7, 1) > 0.6) & (dv[hole] > 0.45)
    glass[curtain] = 0.5 * glass[curtain] + 0.3 * light.ambient
    pane = np.concatenate([glass, np.zeros((len(glass), 1))], axis=1).astype(np.float32)
    if light.lamps_lit:
        lit = panes < (0.42 if light.night else 0.22)
        warmth = np.mod(panes[lit] * 53, 1)[:, None]
        room = np.array([1.0, 0.78, 0.45]) * warmth + np.array([0.85, 0.88, 0.8]) * (1 - warmth)
        pane[lit, :3] = room * (0.55 + 0.45 * np.mod(panes[lit] * 17, 1))[:, None]
        pane[lit, 3] = 0.85
    colours[hole] = pane


def shadow_box(foot: np.ndarray, height: float) -> np.ndarray:
    """Corners (2 N, 3) of an upright prism on a footprint (N, 3)."""
    return np.concatenate([foot, foot + np.array([0.0, height, 0.0])])
