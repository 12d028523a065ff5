"""Two fingerprints of a data set say what has changed between them; an oracle that knows the change says the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import Dataset
from toys import BrightTask

from umbel import DataError, Sample, Source, TaskConfig, option
from umbel.data import fingerprint as taking
from umbel.data.fingerprint import Fingerprint, take_fingerprint
from umbel.data.fingerprint_diff import changes
from umbel.data.fingerprint_file import read_fingerprints, write_fingerprints


@dataclass
class ListedOptions:
    root: str = option("", "folder")


class Listed(Dataset[Sample]):
    """Samples of a list "NAME LABEL" of files."""

    def __init__(self, root: Path) -> None:
        from umbel import read_lines

        self.root = root
        self.rows = [line.split(" ") for line in read_lines(root / "list.txt")]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        name, label = self.rows[index]
        image = np.full((4, 4, 3), len((self.root / name).read_bytes()) % 256, np.uint8)
        return Sample(image, int(label), name, (4, 4))


class SourcedTask(BrightTask):
    Options = ListedOptions

    def dataset(self, split: str) -> Listed:  # type: ignore[override]
        return Listed(Path(self.options.root))

    def sources(self, dataset: Listed) -> Iterator[Source]:  # type: ignore[override]
        return (Source(name, (dataset.root / name,), int(label)) for name, label in dataset.rows)


class UnsourcedTask(SourcedTask):
    def sources(self, dataset: Any) -> None:  # type: ignore[override]
        return None


def write(root: Path, rows: list[tuple[str, int]]) -> Path:
    root.mkdir(exist_ok=True)
    for name, _ in rows:
        if not (root / name).exists():
            (root / name).write_bytes(f"content of {name}".encode())
    (root / "list.txt").write_text("".join(f"{name} {label}\n" for name, label in rows))
    return root


def taken(root: Path, kind: type[SourcedTask] = SourcedTask) -> Fingerprint:
    task = kind("it", TaskConfig("x", 2, (8, 8)), ListedOptions(str(root)))
    return take_fingerprint(task, task.dataset("train"), "train")


ROWS = [(f"{letter}.png", index % 3) for index, letter in enumerate("abcdefgh")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "data", ROWS)


def test_same_data_has_no_changes(root: Path) -> None:
    assert changes(taken(root), taken(root)) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([*ROWS, ("new.png", 0)], ["1 sample added: new.png"]),
        ([("new.png", 0), *ROWS], ["1 sample added: new.png"]),
        (ROWS[:3] + ROWS[4:], ["1 sample removed: d.png"]),
        (ROWS[:3] + ROWS[4:] + [("new.png", 1)], ["1 sample added: new.png", "1 sample removed: d.png"]),
        ([ROWS[1], ROWS[0], *ROWS[2:]], ["reordered, from 'b.png' on"]),
        ([("a.png", 2), *ROWS[1:]], ["another label of 1 sample: a.png"]),
        ([("new.png", 0), ("a.png", 2), *ROWS[1:]], ["1 sample added: new.png", "another label of 1 sample: a.png"]),
    ],
)
def test_what_changed_in_the_list_is_named(root: Path, rows: list[tuple[str, int]], said: list[str]) -> None:
    before = taken(root)
    write(root, rows)
    assert changes(before, taken(root)) == said


@given(st.permutations(range(12)), st.integers(1, 12), st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_lists_are_compared_as_a_naive_loop_would(
    order: list[int], kept: int, relabelled: set[int], second: set[int]
) -> None:
    old = [Source(f"n{i}", (), i) for i in range(12)]
    new = [Source(f"n{i}", (), i + 100 * (i in relabelled)) for i in order[:kept]]
    new += [Source(f"extra{i}", (), 0) for i in sorted(second)]
    one, other = (taking._of_sources(rows, len(rows), "", str) for rows in (old, new))
    told = changes(one, other)
    names = [source.id for source in new]
    removed = [source for source in old if source.id not in names]
    ascending = order[:kept] == sorted(order[:kept])
    expected = [f"{len(second)} sample{'s' * (len(second) != 1)} added"] if second else []
    expected += [f"{len(removed)} sample{'s' * (len(removed) != 1)} removed"] if removed else []
    expected += [] if ascending else ["reordered, from"]
    moved = [i for i in order[:kept] if i in relabelled]
    expected += [f"another label of {len(moved)} sample{'s' * (len(moved) != 1)}"] if moved else []
    assert len(told) == len(expected)
    assert all(text.startswith(start) for text, start in zip(told, expected, strict=True))


def test_replaced_files_are_named_by_size_and_by_content(root: Path) -> None:
    before = taken(root)
    (root / "b.png").write_bytes(b"another size")
    same_size = (root / "c.png").read_bytes()[::-1]
    (root / "c.png").write_bytes(same_size)
    assert changes(before, taken(root)) == ["other files of 2 samples: b.png, c.png"]


def test_lost_file_is_named(root: Path) -> None:
    before = taken(root)
    (root / "b.png").unlink()
    assert changes(before, taken(root)) == ["other files of 1 sample: b.png"]


def test_touched_files_of_known_content_are_no_change(root: Path) -> None:
    before = taken(root)
    os.utime(root / "b.png", (1, 1))
    assert changes(before, taken(root)) == []


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds so low that the data of these tests is large."""
    monkeypatch.setattr(taking, "MOST_SMALL", 2)
    monkeypatch.setattr(taking, "MOST_READ", 2)


@pytest.mark.usefixtures("large")
def test_copy_of_large_data_is_the_same_and_a_file_touched_in_it_is_not(root: Path, tmp_path: Path) -> None:
    before = taken(root)
    assert len(before.read_M) == 2
    copy = tmp_path / "copy"
    shutil.copytree(root, copy, copy_function=shutil.copyfile)
    for index, (name, _) in enumerate(ROWS):
        os.utime(copy / name, (index + 1, index + 1))
    assert changes(before, taken(copy)) == []
    moved = tmp_path / "moved"
    shutil.copytree(root, moved)  # keeps the times
    unread = next(name for index, (name, _) in enumerate(ROWS) if index not in before.read_M)
    os.utime(moved / unread, (1, 1))
    said = f"files of 1 sample with another time and content that is not known: {unread}"
    assert changes(before, taken(moved)) == [said]
    read = ROWS[before.read_M[0]][0]
    (copy / read).write_bytes((root / read).read_bytes()[::-1])
    assert changes(before, taken(copy))[0] == f"other files of 1 sample: {read}"


@pytest.mark.usefixtures("large")
def test_few_of_very_many_files_are_looked_at_but_all_ids_and_labels(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "MOST_LOOKED_AT", 3)
    monkeypatch.setattr(taking, "_CHUNK", 2)
    before = taken(root)
    assert len(before.looked_at_K) == len(before.sizes_K) == 3
    assert before.names() == [name for name, _ in ROWS]
    seen = ROWS[before.looked_at_K[1]][0]
    (root / seen).write_bytes(b"1")
    assert changes(before, taken(root)) == [f"other files of 1 sample: {seen}"]
    assert [index for index, _ in enumerate(ROWS)] != list(before.looked_at_K)


def test_data_set_without_sources_is_known_by_its_lists_and_some_samples(root: Path) -> None:
    before = taken(root, UnsourcedTask)
    assert changes(before, taken(root, UnsourcedTask)) == []
    (root / "a.png").write_bytes(b"12345")
    assert changes(before, taken(root, UnsourcedTask)) == ["sample 0 has changed"]
    write(root, [*ROWS, ("new.png", 1)])
    said = changes(before, taken(root, UnsourcedTask))
    assert said[:2] == ["9 samples instead of 8", f"{root}/list.txt has changed"]


def test_samples_that_are_random_say_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Listed, index: int) -> Sample:
        return Sample(np.random.default_rng().integers(0, 255, (4, 4, 3), np.uint8), 0, "x", (4, 4))

    monkeypatch.setattr(Listed, "__getitem__", read)
    assert changes(taken(root, UnsourcedTask), taken(root, UnsourcedTask)) == []


def test_data_set_that_can_be_opened_once_only_is_known_by_its_samples(root: Path) -> None:
    task = UnsourcedTask("it", TaskConfig("x", 2, (8, 8)), ListedOptions(str(root)))
    dataset = task.dataset("train")
    (root / "list.txt").unlink()
    assert sorted(take_fingerprint(task, dataset, "train").notes) == ["sample 0", "sample 2", "sample 5"]


@pytest.mark.parametrize("fault", ["short", "raises"])
def test_fault_of_a_task_is_named(fault: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sources(self: SourcedTask, dataset: Listed) -> Iterator[Source]:
        if fault == "raises":
            raise RuntimeError("no way")
        return iter([Source("a")])

    monkeypatch.setattr(SourcedTask, "sources", sources)
    expected = {"short": "names 1 for 8 samples", "raises": "failed: RuntimeError: no way"}[fault]
    with pytest.raises(DataError, match=rf"tasks\.it: sources\(\): {expected}"):
        taken(root)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2), ("a", "b"), ([1, 2], [12]), ({"a": 1}, {"a": 2}), (np.zeros(3), np.zeros(4)),
        (np.zeros(2, np.float32), np.zeros(2, np.float64)), (torch.zeros(2), torch.ones(2)), ((None, 1), (1, None)),
        (Sample(np.zeros(1), 0, "a", (1, 1)), Sample(np.ones(1), 0, "a", (1, 1))),
    ],
)  # fmt: skip
def test_labels_of_every_type_are_told_apart(one: Any, other: Any) -> None:
    assert taking._checksum(one) == taking._checksum(one)
    assert taking._checksum(one) != taking._checksum(other)


def test_file_gives_back_what_was_written(root: Path, tmp_path: Path) -> None:
    written = {"it.train": taken(root), "it.val": taken(root, UnsourcedTask)}
    write_fingerprints(tmp_path / "f", written)
    read = read_fingerprints(tmp_path / "f")
    assert all(changes(written[name], read[name]) == [] for name in written)
    assert read["it.train"].names() == [name for name, _ in ROWS]
    assert read["it.val"].notes == written["it.val"].notes


@pytest.mark.parametrize("damage", [b"", b"x" * 100, None, "about", "labels_N"])
def test_damaged_file_is_named(damage: bytes | str | None, root: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load, save

    path = tmp_path / "f"
    write_fingerprints(path, {"it.train": taken(root)})
    if isinstance(damage, str):
        tensors = load(path.read_bytes())
        key = next(key for key in tensors if key.endswith(damage))
        tensors[key] = np.zeros(2, tensors[key].dtype)
        damage = save(tensors)
    path.write_bytes(path.read_bytes()[:-3] if damage is None else damage)
    with pytest.raises(DataError, match=f"{path}: is not what umbel remembers of data"):
        read_fingerprints(path)
