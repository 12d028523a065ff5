"""Every kind of fault is found and named; sound data is left in peace, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from corpus.faults import FAULTS
from corpus.good import mask_bytes, write_good_images
from corpus.tree import HEIGHT, WIDTH, Tree, picture, save, write_tree

from umbel.workflows.check.check import DataReport, check_data


def test_there_are_enough_kinds() -> None:
    assert len(FAULTS) >= 45
    assert len({kind for fault in FAULTS.values() for kind in fault.kinds}) >= 30


def test_sound_data_has_no_findings(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "data")
    report = check_data(tree.tasks(), workers=0)
    assert report.findings == ()
    assert report.exit_code == 0
    assert report.samples == {
        ("road", "train"): 3, ("road", "val"): 2, ("cars", "train"): 6, ("cars", "val"): 4,
        ("signs", "train"): 3, ("signs", "val"): 2,
    }  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named(name: str, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "data")
    fault = FAULTS[name]
    file = str(fault.make(tree))
    before = tree.digest()
    report = check_data(tree.tasks(), workers=0)
    assert tree.digest() == before
    hits = [found for found in report.findings if found.file == file and found.kind in fault.kinds]
    assert hits, [(found.kind, found.file, found.message) for found in report.findings]
    assert all(found.message and found.remedy and found.task and found.split for found in hits)
    assert report.exit_code == 1
    others = [found for found in report.findings if found not in hits and found.severity == "error"]
    related = {
        "class-list",
        "missing-pair",
        "leak",
        "leak-across-tasks",
        "empty-split",
        "unknown-image",
        "label",
        "size-mismatch",
    }
    assert {found.kind for found in others} <= related, others


def _spoil(tree: Tree, names: list[str]) -> dict[str, tuple[str, ...]]:
    return {str(FAULTS[name].make(tree)): FAULTS[name].kinds for name in names}


def test_all_faults_of_one_file_are_named(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "data")
    boxes = [name for name in FAULTS if name.startswith("box_") and "unknown" not in name]
    for name in boxes:
        FAULTS[name].make(tree)
    save(tree.mask, np.array([[7, 8], [9, 0]], np.uint8))
    report = check_data(tree.tasks(), workers=0)
    kinds = [found.kind for found in report.findings if found.file == str(tree.coco)]
    for name in boxes:
        assert FAULTS[name].kinds[0] in kinds
    assert kinds.count("box-degenerate") == 2
    in_mask = [found for found in report.findings if found.file == str(tree.mask)]
    assert [found.kind for found in in_mask] == ["label"] * 3 + ["size-mismatch", "tiny"]


def _keys(report: DataReport) -> set[tuple[str, ...]]:
    return {(found.kind, found.file, found.message, found.task, found.split) for found in report.findings}


def test_processes_find_the_same(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "data")
    _spoil(tree, ["jpeg_with_rotten_bits", "mask_cut_in_half", "box_of_nan", "image_in_both_splits"])
    alone = check_data(tree.tasks(), workers=0)
    assert _keys(check_data(tree.tasks(), workers=2)) == _keys(alone)
    assert {"damaged", "truncated", "box-nan"} <= {found.kind for found in alone.findings}


def _write_good(root: Path, count: int) -> dict[str, int]:
    tree = write_tree(root)
    images = len(list(write_good_images(root / "cls/train/car", count)))
    stems = []
    for k in range(24):
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        labels[k:] = 1
        data, suffix = mask_bytes(labels, k)
        stems.append(f"good_{k}")
        save(root / "seg/images" / f"good_{k}.png", picture("good seg", k))
        (root / "seg/masks" / f"good_{k}{suffix}").write_bytes(data)
    (root / "seg/train.txt").write_text("\n".join(stems))
    tree.change_coco(
        annotations=lambda old: [*old, *({**old[0], "id": 100 + k, "bbox": box} for k, box in enumerate(GOOD_BOXES))]
    )
    return {"images": images, "masks": len(stems)}


GOOD_BOXES = (
    [0, 0, WIDTH, HEIGHT], [0.0, 0.0, 1.5, 1.5], [WIDTH - 3, HEIGHT - 3, 3, 3], [10, 10, WIDTH - 9, 5],
    [-0.5, -0.5, 8, 8], [4.25, 6.75, 12, 14], [1e-9, 0, 30, 30],
)  # fmt: skip


@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_good_variants_raise_no_alarm(count: int, tmp_path: Path) -> None:
    assert _write_good(tmp_path / "data", count)["images"] > count
    report = check_data(Tree(tmp_path / "data").tasks(), workers=0)
    assert [found for found in report.findings if found.severity != "note"] == []
    assert report.exit_code == 0
    assert json.dumps([found.file for found in report.findings])
    assert report.files > count
