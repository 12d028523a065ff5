"""Choosing a reader by name or by the look of a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from umbel import ConfigError, DataError, pick_format


@dataclass
class Options:
    root: str
    format: str = "auto"


class ByFile:
    def __init__(self, name: str) -> None:
        self.name = name
        self.looks_for = f"a file {name}"

    def matches(self, options: Options) -> bool:
        return (Path(options.root) / self.name).exists()


FORMATS = {"first": ByFile("one"), "second": ByFile("two")}


def test_auto_takes_the_only_one_that_matches(tmp_path):
    (tmp_path / "two").touch()
    assert pick_format(FORMATS, Options(str(tmp_path))) is FORMATS["second"]


def test_a_name_wins_over_the_look(tmp_path):
    (tmp_path / "two").touch()
    assert pick_format(FORMATS, Options(str(tmp_path), "first")) is FORMATS["first"]


def test_an_unknown_name_lists_the_known(tmp_path):
    with pytest.raises(ConfigError, match=r"'third'.*auto or one of first, second"):
        pick_format(FORMATS, Options(str(tmp_path), "third"))


def test_nothing_recognised_lists_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"no known way; .* \(looked for first: a file one; second: a file two\)"):
        pick_format(FORMATS, Options(str(tmp_path)))


def test_several_matches_are_not_guessed_between(tmp_path):
    (tmp_path / "one").touch()
    (tmp_path / "two").touch()
    with pytest.raises(DataError, match=r"2 known ways: first, second.*set format"):
        pick_format(FORMATS, Options(str(tmp_path)))


@pytest.mark.parametrize("name", ["auto", "first"])
def test_a_root_that_is_no_folder(tmp_path, name):
    (tmp_path / "file").touch()
    for root in ("nowhere", "file"):
        with pytest.raises(DataError, match=f"{root}: no such folder"):
            pick_format(FORMATS, Options(str(tmp_path / root), name))
