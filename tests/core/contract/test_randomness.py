"""Keyed randomness: a pure function of the key, everywhere."""

from __future__ import annotations

import hashlib
import multiprocessing

import albumentations
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel import apply_keyed, keyed_generator
from umbel.contract.randomness import keyed_seed

IMAGE = np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)
part = st.one_of(st.integers(-(2**63), 2**63), st.text(st.characters(exclude_characters="\x1f"), max_size=8))


def build() -> albumentations.Compose:
    return albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.VerticalFlip(p=0.5),
            albumentations.RandomBrightnessContrast(p=0.5),
            albumentations.RandomCrop(8, 8, p=1.0),
        ]
    )


def draw(indices: list[int]) -> list[bytes]:
    """Runs in a worker: augmented images of these sample indices."""
    compose = build()
    return [
        apply_keyed(compose, keyed_generator(0, "road", 3, i), {"image": IMAGE})["image"].tobytes() for i in indices
    ]


@given(st.lists(part, min_size=1, max_size=4), st.lists(part, min_size=1, max_size=4))
def test_different_keys_never_share_a_seed(one, other):
    assert (keyed_seed(*one) == keyed_seed(*other)) == (one == other)


def test_type_and_grouping_belong_to_the_key():
    assert len({keyed_seed(1, 2), keyed_seed("1", 2), keyed_seed(12), keyed_seed("1", "2"), keyed_seed("12")}) == 5


def test_seeds_of_neighbouring_samples_are_distinct():
    seeds = {keyed_seed(seed, task, 0, index) for seed in range(3) for task in ("a", "b") for index in range(5000)}
    assert len(seeds) == 30_000


def test_known_value_is_stable_across_versions_and_machines():
    assert keyed_seed(0, "road", 0, 0) == int.from_bytes(
        hashlib.blake2b(b"int:0\x1fstr:road\x1fint:0\x1fint:0", digest_size=8).digest(), "little"
    )
    assert keyed_generator(0, "road").integers(2**62) == keyed_generator(0, "road").integers(2**62)


def test_draws_do_not_depend_on_order_or_history():
    forwards = draw(list(range(12)))
    assert draw(list(reversed(range(12)))) == forwards[::-1]
    assert draw([7]) == [forwards[7]]


def test_sibling_transforms_are_independent():
    compose = albumentations.ReplayCompose([albumentations.HorizontalFlip(p=0.5), albumentations.VerticalFlip(p=0.5)])
    agree = 0
    for index in range(400):
        replay = apply_keyed(compose, keyed_generator(index), {"image": IMAGE})["replay"]
        horizontal, vertical = (transform["applied"] for transform in replay["transforms"])
        agree += horizontal == vertical
    assert 150 < agree < 250  # 200 +- 5 standard deviations; equal streams would give 400


def test_samples_differ_from_each_other():
    assert len(set(draw(list(range(40))))) > 30


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_workers_give_the_bits_of_the_main_process(method):
    indices = list(range(8))
    expected = draw(indices)
    for workers in (1, 2):
        with multiprocessing.get_context(method).Pool(workers) as pool:
            shards = pool.map(draw, [indices[start::workers] for start in range(workers)])
        merged = [b""] * len(indices)
        for start, shard in enumerate(shards):
            merged[start::workers] = shard
        assert merged == expected
