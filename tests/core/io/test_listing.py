"""Listing images: every suffix that is read, subfolders, and a count of what is passed over."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umbel import IMAGE_SUFFIXES, list_images, read_image
from umbel.io.listing import collect_passed_over, describe_passed_over, say_passed_over
from umbel.predict.files import input_files
from umbel.workflows.check.passed_over import passed_over_findings

SAVED_AS = {".jpe": "JPEG", ".jfif": "JPEG", ".apng": "PNG", ".dib": "BMP", ".pgm": "PPM", ".pbm": "PPM", ".pnm": "PPM"}


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_every_suffix_that_is_listed_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix.upper()}"
    Image.fromarray(np.full((5, 7), 200, np.uint8)).save(path, format=SAVED_AS.get(suffix))
    assert list_images(tmp_path) == [path]
    assert read_image(path).shape == (5, 7, 3)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    for name in (
        "a.jpg", "b.JFIF", "c.gif", "deep/er/d.png", "e.heic", "f.avif", "deep/g.HEIC", "noend", "a.txt", "notes.txt",
        "Thumbs.db", "desktop.ini", "._a.jpg", ".hidden/x.jpg", "__MACOSX/y.jpg", "@eaDir/z.jpg",
    ):  # fmt: skip
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/h.jpg").touch()
    (tmp_path / "set/link").symlink_to(tmp_path / "elsewhere")
    return tmp_path / "set"


def test_what_is_not_listed_is_noted_by_reason(mixed: Path) -> None:
    with collect_passed_over() as others:
        found = list_images(mixed, nested=True)
    assert [path.relative_to(mixed).as_posix() for path in found] == ["a.jpg", "b.JFIF", "c.gif", "deep/er/d.png"]
    meant = [other for other in others if other.perhaps_image]
    assert sorted(other.reason for other in meant) == [".avif", ".heic", ".heic", "linked folder", "without suffix"]
    assert [other.path.name for other in others if not other.perhaps_image] == ["notes.txt"]  # a.txt labels a.jpg
    assert describe_passed_over(meant).startswith("2 .heic, 1 .avif, 1 linked folder, 1 without suffix (the first: ")
    found_by_kind = {(finding.severity, finding.message) for finding in passed_over_findings(others)}
    assert ("warning", "is passed over: .heic, as 1 more") in found_by_kind
    assert ("note", "is passed over: .txt") in found_by_kind
    assert [path.name for path in list_images(mixed)] == ["a.jpg", "b.JFIF", "c.gif"]


def test_it_is_said_once(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with collect_passed_over() as others:
                list_images(mixed, nested=True)
            say_passed_over("tasks.kinds", others)
    assert [record.getMessage().split(";")[0].split(" (")[0] for record in caplog.records] == [
        "tasks.kinds: files passed over: 2 .heic, 1 .avif, 1 linked folder, 1 without suffix"
    ]


def test_predicted_folders_are_read_whole_but_for_earlier_predictions(mixed: Path) -> None:
    (mixed / "out/task").mkdir(parents=True)
    (mixed / "out/task/a.jpg").touch()
    assert [path.name for path in input_files([mixed], mixed / "out")] == ["a.jpg", "b.JFIF", "c.gif", "d.png"]
