"""Nested values are compared part by part, and the first difference is said in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from umbel.testing.same import arrays_in, difference


@dataclass
class Pair:
    left: Any
    right: Any


@pytest.mark.parametrize(
    ("left", "right", "said"),
    [
        (1, 2, "value differs by up to 1"),
        ("a", "b", "value is 'a' and 'b'"),
        ([1], (1,), "value is list and tuple"),
        ([1, 2], [1], "value has 2 and 1 entries"),
        ({"a": 1}, {"b": 1}, r"value has the keys \['a'\] and \['b'\]"),
        (Pair(1, torch.zeros(2)), Pair(1, torch.ones(2)), "value.right differs by up to 1"),
        ({"a": np.zeros((2, 3))}, {"a": np.zeros((3, 2))}, r"value\['a'\] has the shapes \(2, 3\) and \(3, 2\)"),
        (None, 0, "value is NoneType and int"),
    ],
)
def test_differences_are_named(left: Any, right: Any, said: str) -> None:
    import re

    assert re.fullmatch(said, difference(left, right))


def test_equal_values_and_tolerance() -> None:
    value = Pair([1.5, float("nan"), None], {"x": torch.tensor([1, 2])})
    assert difference(value, Pair([1.5, float("nan"), None], {"x": torch.tensor([1, 2])})) == ""
    assert difference(1.0, 1.00001) != ""
    assert difference(1.0, 1.00001, 1e-4) == ""
    assert [array.shape for array in arrays_in(value)] == [torch.Size([2])]
