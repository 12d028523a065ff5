"""Classes that look alike may be merged; those that only compatibility forms make equal are two."""

from __future__ import annotations

import pytest

from umbel.data.class_map import map_classes


@pytest.mark.parametrize(("one", "other"), [("car", "car "), ("caf\u00e9", "cafe\u0301")])
def test_a_class_map_merges_classes_that_look_alike(one: str, other: str) -> None:
    assert map_classes([one, other, "bus"], {other: one}, where="t").targets == (0, 0, 1)
    assert map_classes([one, other, "bus"], {other: None}, where="t").targets == (0, None, 1)


def test_a_raised_two_is_no_two() -> None:
    assert map_classes(["m2", "m\u00b2"], {}, where="t").targets == (0, 1)
