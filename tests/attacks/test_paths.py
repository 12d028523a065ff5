"""Annotations of every format name files under their root, or are refused; pipes and devices are never read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from corpus.tree import Tree, write_tree

from umbel import DataError, Task, load_datasets, read_image, read_text, resolve_under

OUT = ("/etc/passwd", "../x.jpg", "a/../../x.jpg", "", ".", "x\0.jpg", "//etc/passwd", "./../x", 7, None, ["x"])


@pytest.mark.parametrize("name", OUT)
def test_names_that_lead_out(name: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        resolve_under(tmp_path, name, source="list.txt")
    assert caught.value.kind == "path-escape"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "socket"])
def test_what_is_no_file_is_not_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/stdin")
    for read in (read_image, read_text):
        if kind == "socket" and path.is_file():
            pytest.skip("standard input is a file here")
        with pytest.raises(DataError):
            read(path)


def test_linked_annotation_is_refused_and_a_linked_root_is_not(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "data")
    (tmp_path / "link").symlink_to(tree.root)
    tasks: dict[str, Task[Any]] = Tree(tmp_path / "link").tasks()
    assert len(load_datasets(tasks, "train")) == 3
    target = tmp_path / "secret.jpg"
    (tree.root / "det/train/0.jpg").rename(target)
    (tree.root / "det/train/0.jpg").symlink_to(target)
    with pytest.raises(DataError, match="leads out of") as caught:
        tree.tasks()["signs"].dataset("train")
    assert caught.value.kind == "path-escape"


def test_a_missing_image_waits_for_its_turn_where_a_budget_is_given(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "data")
    (tree.root / "det/train/0.jpg").unlink()
    with pytest.raises(DataError, match="does not exist"):
        load_datasets(tree.tasks(), "train")
    dataset = load_datasets(tree.tasks(), "train", defer=True)["signs"]
    with pytest.raises(DataError, match="no such file"):
        dataset[0]
    assert dataset[1].id == "1.jpg"
