"""What a source draws for an image: where in the input it lies, how it is turned, scaled and mirrored."""

from __future__ import annotations

import numpy as np

from umbel.contract.geometry import Geometry
from umbel.contract.source_config import SourceConfig
from umbel.contract.types import Size


def draw_geometry(config: SourceConfig, stored: Size, rng: np.random.Generator) -> Geometry:
    """A random scale, rotation, place and mirror of an image in the source's input."""
    augment, (height, width) = config.augment, config.input_size
    fit = np.array([width / stored[1], height / stored[0]])
    if config.keep_ratio:
        fit[:] = fit.min()
    scale = float(rng.uniform(augment.scale[0], augment.scale[1]))
    angle = float(np.deg2rad(rng.uniform(-augment.rotation, augment.rotation)))
    place = rng.random(2)
    mirrored = bool(rng.random() < augment.hflip)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag(fit * scale)
    if mirrored:
        turn[0] *= -1
    corners = np.array([[0, 0], [stored[1], 0], [0, stored[0]], [stored[1], stored[0]]]) @ turn.T
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = np.array([width, height]) - (high - low)  # negative: the image is larger than the input, and is cropped
    return Geometry(np.column_stack([turn, room * place - low]), stored, config.input_size)
