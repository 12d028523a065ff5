"""Names that look the same: files, folders, classes."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from umbel import DataError, find_alike, find_confusable, map_classes, missing_hint, pick_format, read_text

NFC = "caf\u00e9"
NFD = unicodedata.normalize("NFD", NFC)


@pytest.mark.parametrize(
    ("name", "other", "difference"),
    [
        (NFD, NFC, "in another Unicode form"),
        (NFC, NFD, "in another Unicode form"),
        ("car ", "car", "with another blank"),
        ("a b", "a\u00a0b", "with another blank"),
        ("a b", "a  b", "with another blank"),
        ("\uff41", "a", "with other characters that look the same"),
        ("Car", "car", "in other case"),
        ("Car", "van", ""),
        ("car", "car", ""),
    ],
)
def test_what_tells_two_names_apart(name: str, other: str, difference: str) -> None:
    said = find_alike(name, ["x", other])
    assert said == (f"there is {other!r}, {difference}" if difference else "")


@pytest.mark.parametrize("twins", [(NFC, NFD), ("car", "car "), ("a b", "a\u00a0b")])
def test_classes_that_cannot_be_told_apart_are_refused(twins: tuple[str, str]) -> None:
    assert find_confusable(["x", *twins]) == twins
    with pytest.raises(DataError, match="two classes that look alike") as caught:
        map_classes(["x", *twins], {}, where="tasks.t.options")
    assert all(ascii(name) in str(caught.value) for name in twins)
    assert find_confusable(["Car", "car"]) is None


def test_a_missing_file_names_its_double(tmp_path: Path) -> None:
    (tmp_path / f"{NFD}.txt").touch()
    with pytest.raises(DataError, match=r"no such file .*there is .* in another Unicode form"):
        read_text(tmp_path / f"{NFC}.txt")
    (tmp_path / "other").touch()
    assert "exists and holds" in missing_hint(tmp_path / "absent.txt")


def test_a_relative_root_is_shown_as_written_and_as_what_it_stands_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()

    class Options:
        root, format = "data/cars", "auto"

    with pytest.raises(DataError) as caught:
        pick_format({}, Options())
    assert str(caught.value).startswith(f"data/cars (that is {tmp_path}/data/cars): no such folder")
    assert f"data (that is {tmp_path}/data) exists and holds nothing" in str(caught.value)
