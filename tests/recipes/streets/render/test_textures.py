"""World coordinates wrap round a tile."""

from __future__ import annotations

import math

import numpy as np

from umbel import keyed_generator
from umbel.recipes.streets.render.textures import wrapped


def test_wrapping_is_the_remainder() -> None:
    values = keyed_generator(0, "arithmetic").uniform(-90, 90, 500).astype(np.float32)
    difference = np.abs(wrapped(values, 0.8) - np.mod(values.astype(np.float64), 0.8))
    assert np.minimum(difference, 0.8 - difference).max() < 1e-4
    assert math.isfinite(float(wrapped(values, 8.0).max()))
