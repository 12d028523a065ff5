"""Reading and writing small files; entries of annotation files are not to be trusted."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from umbel import DataError, list_images, read_class_names, read_json, read_lines, resolve_under, write_json
from umbel.contract.values import to_jsonable
from umbel.io.files import read_bytes, write_bytes


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "/etc/passwd",
        "..",
        "../x",
        "a/../../x",
        "a/..",
        "a\0b",
        "//x",
        "./../x",
        None,
        3,
        ["a"],
        {"a": 1},
        True,
    ],
)
def test_names_that_lead_out_are_refused(name, tmp_path):
    with pytest.raises(DataError, match="does not name a file inside") as caught:
        resolve_under(tmp_path, name, source="labels.json")
    assert str(caught.value).startswith("labels.json: ")


@pytest.mark.parametrize("name", ["x.jpg", "a/b/x.jpg", "..x", "x..", "a..b/c", "./x", "~/x", "ü/\udce9.jpg", "c:\\x"])
def test_ordinary_names_resolve(name, tmp_path):
    assert resolve_under(tmp_path, name, source="s") == tmp_path / name


@pytest.mark.parametrize("name", ["x" * 256, "a/" + "é" * 128, "/".join(["x" * 200] * 30), "a\ud800.jpg"])
def test_names_that_no_file_can_have_are_refused(name, tmp_path):
    with pytest.raises(DataError, match=r"labels\.json: entry .* is no name that a file can have"):
        resolve_under(tmp_path, name, source="labels.json")
    assert not resolve_under(tmp_path, "é" * 127, source="labels.json").is_file()


@given(st.text())
def test_whatever_resolves_stays_inside(name):
    root = Path("/data/root")
    try:
        path = resolve_under(root, name, source="s")
    except DataError:
        return
    assert Path(os.path.normpath(path)).is_relative_to(root)
    assert Path(os.path.normpath(path)) != root


def test_links_stay_inside_unless_their_target_is_allowed(tmp_path, monkeypatch):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "x.txt").write_text("here")
    (tmp_path / "root" / "raw").mkdir(parents=True)
    (tmp_path / "root" / "raw" / "y.txt").write_text("inside")
    (tmp_path / "root" / "images").symlink_to(tmp_path / "store")
    (tmp_path / "root" / "y.txt").symlink_to("raw/y.txt")
    (tmp_path / "other name").symlink_to(tmp_path / "root")
    for root in (tmp_path / "root", tmp_path / "other name"):
        assert resolve_under(root, "y.txt", source="s").read_text() == "inside"
        with pytest.raises(DataError, match="leads out of") as caught:
            resolve_under(root, "images/x.txt", source="s")
        assert caught.value.kind == "path-escape"
        assert "UMBEL_ALLOW_OUTSIDE_ROOT" in caught.value.hint
    monkeypatch.setenv("UMBEL_ALLOW_OUTSIDE_ROOT", f"/nowhere:{tmp_path / 'store'}")
    assert resolve_under(tmp_path / "root", "images/x.txt", source="s").read_text() == "here"
    monkeypatch.setenv("UMBEL_ALLOW_OUTSIDE_ROOT", f"{tmp_path / 'sto'}")
    with pytest.raises(DataError, match="leads out of"):
        resolve_under(tmp_path / "root", "images/x.txt", source="s")


def test_missing_file_says_what_is_near(tmp_path):
    (tmp_path / "other.json").write_text("1")
    with pytest.raises(DataError, match=r"x/y.json: no such file .*holds other.json"):
        read_bytes(tmp_path / "x" / "y.json")


def test_folder_pipe_and_impossible_name_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, text in ((tmp_path, "is a folder"), (tmp_path / "pipe", "pipe or device"), (tmp_path / "a\0b", "null")):
        with pytest.raises(DataError, match=text):
            read_bytes(path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a": 1}x', "not valid JSON: Extra data"),
        (b"[" * 100_000, "not valid JSON"),
        (b"1" * 5000, "not valid JSON"),
        (b'"\xff"', "not UTF-8 text: invalid start byte at byte 1"),
        ("[1]".encode("utf-16"), "not UTF-8"),
    ],
)
def test_broken_json_names_the_file(content, text, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=text) as caught:
        read_json(path)
    assert str(path) in str(caught.value)


def test_byte_order_mark_is_dropped(tmp_path):
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1, 2]")
    assert read_json(tmp_path / "a.json") == [1, 2]


def test_lines_end_at_line_ends_only(tmp_path):
    (tmp_path / "a.txt").write_bytes(" a\r\n\r\nb\rc\u2028d\x0ce\n f \n".encode())
    assert read_lines(tmp_path / "a.txt") == ["a", "b", "c\u2028d\x0ce", "f"]


def test_json_round_trip_makes_folders(tmp_path):
    path = tmp_path / "x" / "y" / "a.json"
    write_json(path, {"a": [1, 2.5, None, "ü"]})
    assert read_json(path) == {"a": [1, 2.5, None, "ü"]}
    assert [child.name for child in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {"a": {1, 2}}])
def test_what_json_cannot_hold_leaves_the_old_file(value, tmp_path):
    path = tmp_path / "a.json"
    write_json(path, 1)
    with pytest.raises(DataError, match=r"a\.json: cannot be written as JSON"):
        write_json(path, value)
    assert read_json(path) == 1
    assert len(list(tmp_path.iterdir())) == 1


def test_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    write_bytes(path, b"old")

    def fail(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(DataError, match="No space left"):
        write_bytes(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert [child.name for child in tmp_path.iterdir()] == ["a.bin"]


def test_file_where_a_folder_should_be_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(DataError, match=r"a/b\.json: cannot be written"):
        write_json(tmp_path / "a" / "b.json", 1)


def test_jsonable_converts_what_tasks_return():
    @dataclass
    class Box:
        at: torch.Tensor
        score: np.float32

    value = {1: (Box(torch.tensor([1.0, 2.0]), np.float32(0.5)), np.arange(2)), "flag": np.bool_(True)}
    assert json.loads(json.dumps(to_jsonable(value))) == {"1": [{"at": [1.0, 2.0], "score": 0.5}, [0, 1]], "flag": True}


def test_images_are_listed_without_folders_and_hidden_files(tmp_path):
    for name in ("b.JPG", "a.png", "._a.png", "notes.txt", "c.tiff"):
        (tmp_path / name).touch()
    (tmp_path / "d.jpg").mkdir()
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jpg")).touch()
    names = [os.fsencode(path.name) for path in list_images(tmp_path)]
    assert names == [b"a.png", b"b.JPG", b"c.tiff", b"caf\xe9.jpg", b"gone.jpg"]
    with pytest.raises(DataError, match="no such folder"):
        list_images(tmp_path / "absent")


@pytest.mark.parametrize("text", ["road\ncar\n", "road\r\n car \r\n\r\n", "road\ncar", "\ufeffroad\ncar\n\n \n"])
def test_class_names_are_the_lines(tmp_path, text):
    path = tmp_path / "classes.txt"
    path.write_bytes(text.encode())
    assert read_class_names(path) == ["road", "car"]


@pytest.mark.parametrize(("text", "line"), [("\nroad\ncar\n", 1), ("road\n\ncar\n", 2), ("road\n \n\ncar", 2)])
def test_a_blank_line_would_shift_the_ids_of_classes(tmp_path, text, line):
    path = tmp_path / "classes.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=rf"classes\.txt: line {line} is blank"):
        read_class_names(path)


def test_an_empty_file_names_no_class(tmp_path):
    (tmp_path / "classes.txt").write_text("\n\n")
    assert read_class_names(tmp_path / "classes.txt") == []
