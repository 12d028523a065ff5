"""Keyed randomness: every random number is a pure function of a key, so nothing has to be captured or replayed."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import numpy as np


def keyed_seed(*key: int | str) -> int:
    """A 64-bit seed from a key such as (run seed, task name, epoch, index); equal keys give equal seeds everywhere."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def keyed_generator(*key: int | str) -> np.random.Generator:
    """A numpy generator whose stream is a pure function of the key."""
    return np.random.Generator(np.random.PCG64(keyed_seed(*key)))


def apply_keyed(compose: Any, rng: np.random.Generator, data: dict[str, Any]) -> dict[str, Any]:
    """Run an albumentations Compose with all its randomness drawn from `rng`.

    `A.Compose(seed=)` gives every child the same stream and repeats it in every worker; this shares one keyed stream.

    Args:
        compose: an `albumentations.Compose`.
        rng: the sample's generator.
        data: targets by name: image (H, W, 3) uint8, mask (H, W), bboxes (N, 4) ...

    Returns:
        The transformed targets by name.
    """
    compose.set_random_state(rng, random.Random(int(rng.integers(2**63))))
    result: dict[str, Any] = compose(**data)
    return result
