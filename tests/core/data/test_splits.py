"""The names by which data sets call their splits."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from umbel import DataError, find_split, find_val_or_test, say_test_validates
from umbel.data.splits import SPLIT_NAMES


@pytest.mark.parametrize("split", SPLIT_NAMES)
@pytest.mark.parametrize("spell", [str.lower, str.capitalize, str.upper])
def test_every_usual_name_is_found(tmp_path: Path, split: str, spell: object) -> None:
    for number, name in enumerate(SPLIT_NAMES[split]):
        root = tmp_path / str(number)
        (root / spell(name)).mkdir(parents=True)  # type: ignore[operator]
        assert find_split(root, split) == spell(name)  # type: ignore[operator]
        assert all(find_split(root, other) is None for other in SPLIT_NAMES if other != split)


def test_the_own_name_goes_first_and_others_must_be_clear(tmp_path: Path) -> None:
    for name in ("valid", "dev"):
        (tmp_path / f"{name}.txt").touch()
    with pytest.raises(DataError, match=r"may call its val split valid\.txt or dev\.txt .*rename the right one to val"):
        find_split(tmp_path, "val", "{}.txt")
    (tmp_path / "val.txt").touch()
    assert find_split(tmp_path, "val", "{}.txt") == "val"


def test_a_test_split_validates_where_it_has_labels_and_nothing_else_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "test").mkdir()
    assert find_val_or_test(tmp_path) == "test"
    assert find_val_or_test(tmp_path, labelled=lambda path: False) is None
    with caplog.at_level(logging.WARNING):
        for name in ("test", "valid", "test"):
            say_test_validates(name, tmp_path)
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path}: there is no validation split; 'test' validates. `holdout` would spare it"
    ]
    (tmp_path / "Valid").mkdir()
    assert find_val_or_test(tmp_path) == "Valid"
