"""Declaring and checking options."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from omegaconf import OmegaConf

from umbel import check_choice, check_interval, check_range, check_unique, option
from umbel.contract.options import option_docs


@dataclass
class Example:
    root: str = option(doc="folder")
    sizes: list[int] = option([1, 2], "sides")
    table: dict[str, list[int]] = option({"a": [1]}, "nested")


def test_every_instance_has_its_own_containers():
    one, other = Example("x"), Example("y")
    one.sizes.append(3)
    one.table["a"].append(2)
    assert other.sizes == [1, 2]
    assert other.table == {"a": [1]}


def test_docs_and_defaults_are_found():
    assert option_docs(Example) == {"root": "folder", "sizes": "sides", "table": "nested"}


def test_an_option_without_default_is_missing_for_omegaconf():
    assert OmegaConf.missing_keys(OmegaConf.structured(Example)) == {"root"}


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_range_includes_its_ends(value):
    check_range("rate", value, 0, 1)


@pytest.mark.parametrize("value", [-1e-9, 1.0001, float("nan"), float("inf")])
def test_range_refuses_the_rest_and_not_a_number(value):
    with pytest.raises(ValueError, match=r"rate is .*must lie in 0\.\.1"):
        check_range("rate", value, 0, 1)


def test_choice_lists_what_there_is():
    check_choice("mode", None, (None, "a"))
    with pytest.raises(ValueError, match="mode is 'c'; choose one of 'a', 'b'"):
        check_choice("mode", "c", iter(("a", "b")))


@pytest.mark.parametrize("values", [[0, 1], [0.5, 0.5], (0.2, 0.3)])
def test_interval_may_be_the_whole_range_or_a_point(values):
    check_interval("scale", values, 0, 1)


@pytest.mark.parametrize("values", [[], [0.5], [0, 0.5, 1], [0.6, 0.5], [-0.1, 1], [0, 1.1], [float("nan"), 1]])
def test_interval_refuses_other_lengths_orders_and_ends(values):
    with pytest.raises(ValueError, match=r"scale is .*expected \[smallest, largest\] within 0\.\.1"):
        check_interval("scale", values, 0, 1)


def test_unique_names_what_repeats():
    check_unique("names", iter("abc"))
    with pytest.raises(ValueError, match="names repeat: a, c"):
        check_unique("names", list("abcac"))
