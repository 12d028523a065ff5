"""Stored classes become a task's classes; checked against a plain re-reading of the rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel import ClassMap, ConfigError, DataError, map_classes

STORED = ["car", "truck", "bus", "sky", "person"]


def mapped(changes, class_names=(), stored=STORED):
    return map_classes(stored, changes, class_names, where="tasks.road.options")


def test_without_changes_every_class_stays():
    assert mapped({}) == ClassMap(tuple(STORED), (0, 1, 2, 3, 4))


def test_names_that_become_one_merge_and_null_drops():
    found = mapped({"car": "vehicle", "bus": "vehicle", "sky": None})
    assert found == ClassMap(("vehicle", "truck", "person"), (0, 1, 0, None, 2))


def test_a_class_may_take_the_name_of_another():
    assert mapped({"bus": "truck"}).targets == (0, 1, 1, 2, 3)
    assert mapped({"car": "bus", "bus": "car"}).names == ("bus", "truck", "car", "sky", "person")


def test_class_names_set_the_order_and_may_be_more():
    found = mapped({"car": "vehicle", "truck": "vehicle", "bus": None}, ["tram", "person", "vehicle", "sky"])
    assert found == ClassMap(("tram", "person", "vehicle", "sky"), (2, 2, None, 3, 1))


def test_an_unknown_old_name_gets_a_suggestion():
    with pytest.raises(ConfigError, match=r"tasks\.road\.options\.class_map: 'trck' is no class.*did you mean 'truck'"):
        mapped({"trck": "car"})
    with pytest.raises(ConfigError, match="there are car, truck, bus, sky, person"):
        mapped({"zebra": None})


def test_class_names_must_list_what_results():
    with pytest.raises(ConfigError, match=r"class_names: lacks the class 'sky' of the data"):
        mapped({}, ["car", "truck", "bus", "person"])
    with pytest.raises(ConfigError, match=r"'vehicle', which 'car' becomes.*did you mean 'vehicles'"):
        mapped({"car": "vehicle"}, ["vehicles", "truck", "bus", "sky", "person"])


def test_nothing_left_and_repeated_names():
    with pytest.raises(DataError, match="no class is left"):
        mapped({"a": None}, stored=["a"])
    with pytest.raises(DataError, match="repeat: a, b"):
        mapped({}, stored=["a", "b", "a", "b"])


NAMES = st.sampled_from("abcdefgh")


@given(st.lists(NAMES, min_size=1, unique=True), st.data())
def test_every_stored_class_arrives_where_the_changes_say(stored, data):
    changes = data.draw(st.dictionaries(st.sampled_from(stored), st.none() | NAMES))
    if all(changes.get(name, name) is None for name in stored):
        return
    found = mapped(changes, stored=stored)
    assert len(set(found.names)) == len(found.names)
    arrived = [None if target is None else found.names[target] for target in found.targets]
    assert arrived == [changes.get(name, name) for name in stored]
    kept = [target for target in found.targets if target is not None]
    assert set(kept) == set(range(len(found.names)))
    assert [t for i, t in enumerate(kept) if t not in kept[:i]] == list(range(len(found.names)))  # first appearance
    assert mapped(changes, found.names, stored) == found  # what was learnt may be written down
