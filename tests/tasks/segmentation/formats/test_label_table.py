"""Renumbering label maps, against a loop over the pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel import DataError, map_classes
from umbel.tasks.segmentation.formats.label_table import LabelTable

NAMES = ("a", "b", "c", "d")


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.integers(0, 255), st.none(), min_size=1, max_size=6),
    st.dictionaries(st.sampled_from(NAMES), st.none() | st.sampled_from("abxy")),
    st.sampled_from([np.uint8, np.int32]),
    st.integers(0, 2**32 - 1),
)
def test_every_pixel_goes_where_its_class_goes(blank, changes, dtype, seed):
    if all(changes.get(name, name) is None for name in NAMES):
        return
    rng = np.random.default_rng(seed)
    free = [value for value in rng.permutation(256).tolist() if value not in blank]
    values = {**blank, **dict(zip(free, NAMES, strict=False))}
    class_map = map_classes(NAMES, changes, where="")
    stored = rng.choice(list(values), (5, 7)).astype(dtype)
    found = LabelTable(values, class_map, 200)(stored, "x.png")
    assert found.dtype == np.uint8
    for before, after in zip(stored.ravel().tolist(), found.ravel().tolist(), strict=True):
        name = values[before]
        expected = None if name is None else changes.get(name, name)
        assert after == 200 if expected is None else class_map.names[after] == expected


@pytest.mark.parametrize("value", [-1, 4, 256, 70000])
def test_values_without_meaning_are_named(value):
    table = LabelTable({0: "a", 9: None}, map_classes(["a"], {}, where=""), 255)
    with pytest.raises(DataError, match=rf"x\.png: has label {value}, .*0 a, 9 unlabelled"):
        table(np.array([[0, 9], [value, 0]], np.int32), "x.png")


def test_ids_that_stay_cost_no_copy():
    labels = np.array([[0, 1], [255, 1]], np.uint8)
    assert LabelTable({0: "a", 1: "b", 255: None}, map_classes("ab", {}, where=""), 255)(labels, "") is labels
