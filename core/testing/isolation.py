"""Seeing whether code draws from the global random generators instead of the one it was handed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from umbel.testing.fault import ContractFault


@contextmanager
def global_randomness_untouched(what: str) -> Iterator[None]:
    """Fault if the body moves the global generator of `random`, numpy or torch; their states are put back."""
    before = random.getstate()
    before_numpy = np.random.get_state(legacy=True)  # noqa: NPY002  the global one is what is watched
    before_torch = torch.get_rng_state()
    try:
        yield
        after_numpy = np.random.get_state(legacy=True)  # noqa: NPY002
        moved = [
            name
            for name, still in (
                ("random", random.getstate() == before),
                (
                    "numpy.random",
                    repr(after_numpy) == repr(before_numpy) and bool((after_numpy[1] == before_numpy[1]).all()),  # type: ignore[index]
                ),
                ("torch", bool(torch.equal(torch.get_rng_state(), before_torch))),
            )
            if not still
        ]
        if moved:
            raise ContractFault(f"{what} draws from the global generator of {', '.join(moved)}")
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)  # noqa: NPY002
        torch.set_rng_state(before_torch)
