"""The folders of the street scenes: formats, determinism, reuse and repair."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from umbel import DataError, read_image, read_json, read_label_map, read_lines
from umbel.recipes.streets.dataset import DETECTION_SIZE, SEGMENTATION_SIZE, Counts, render_dataset, render_job
from umbel.recipes.streets.labels import CLASSES, SIGN_CATEGORY_IDS, VEHICLE_KINDS

COUNTS = Counts(seg_train=3, seg_val=2, cls_train=7, cls_val=6, det_train=12, det_val=2)


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streets") / "data"
    render_dataset(root, seed=5, counts=COUNTS)
    return root


def test_segmentation_folder(rendered: Path) -> None:
    folder = rendered / "seg"
    assert read_lines(folder / "classes.txt") == list(CLASSES)
    train, val = read_lines(folder / "train.txt"), read_lines(folder / "val.txt")
    assert (len(train), len(val)) == (3, 2)
    assert not set(train) & set(val)
    for stem in train + val:
        mask = read_label_map(folder / "masks" / f"{stem}.png")
        depth = read_label_map(folder / "depth" / f"{stem}.png")
        assert read_image(folder / "images" / f"{stem}.jpg").shape == (*SEGMENTATION_SIZE, 3)
        assert mask.shape == depth.shape == SEGMENTATION_SIZE
        assert mask.max() < len(CLASSES)
        np.testing.assert_array_equal(depth == 0, mask == CLASSES.index("sky"))
    assert {path.stem for path in (folder / "images").iterdir()} == set(train + val)


def test_depth_is_kept_to_the_centimetre(rendered: Path) -> None:
    scene = render_job(5, "seg", "val", 1)
    depth = read_label_map(rendered / "seg" / "depth" / "val_00001.png")
    np.testing.assert_allclose(depth / 100, scene.depth_m, atol=0.00501)
    np.testing.assert_array_equal(read_label_map(rendered / "seg" / "masks" / "val_00001.png"), scene.labels)


def test_classification_folder(rendered: Path) -> None:
    for split, count in (("train", 7), ("val", 6)):
        folder = rendered / "cls" / split
        assert sorted(path.name for path in folder.iterdir()) == sorted(VEHICLE_KINDS)
        files = sorted(folder.rglob("*.jpg"))
        assert len(files) == count
        assert all(read_image(path).shape == (96, 96, 3) for path in files)


def test_detection_folder(rendered: Path) -> None:
    for split, count in (("train", 12), ("val", 2)):
        coco = read_json(rendered / "det" / "annotations" / f"{split}.json")
        ids = {image["id"] for image in coco["images"]}
        names = {image["file_name"] for image in coco["images"]}
        assert len(ids) == count
        assert names == {path.name for path in (rendered / "det" / split).iterdir()}
        categories = {category["name"]: category["id"] for category in coco["categories"]}
        assert categories == SIGN_CATEGORY_IDS
        assert sorted(categories.values()) != list(range(len(categories)))
        assert len({annotation["id"] for annotation in coco["annotations"]}) == len(coco["annotations"])
        for annotation in coco["annotations"]:
            x, y, width, height = annotation["bbox"]
            assert annotation["image_id"] in ids
            assert annotation["category_id"] in categories.values()
            assert 0 <= x < x + width <= DETECTION_SIZE[1]
            assert 0 <= y < y + height <= DETECTION_SIZE[0]
            assert annotation["area"] == width * height
    coco = read_json(rendered / "det" / "annotations" / "train.json")
    annotated = {annotation["image_id"] for annotation in coco["annotations"]}
    assert 0 < len(annotated) < 12  # some pictures have no sign


def test_process_count_changes_nothing(rendered: Path, tmp_path: Path) -> None:
    render_dataset(tmp_path / "two", seed=5, counts=COUNTS, processes=2)
    assert _digests(tmp_path / "two") == _digests(rendered)


def test_splits_and_data_sets_share_no_picture(rendered: Path) -> None:
    pictures = [digest for name, digest in _digests(rendered).items() if name.endswith(".jpg")]
    assert len(set(pictures)) == len(pictures)


def test_finished_folder_is_reused(rendered: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in rendered.rglob("*")}
    calls: list[int] = []
    render_dataset(rendered, seed=5, counts=COUNTS, progress=lambda done, total: calls.append(done))
    assert calls == []
    assert {path: path.stat().st_mtime_ns for path in rendered.rglob("*")} == before


SMALL = Counts(1, 1, 1, 1, 1, 1)


def _lose_a_file(root: Path) -> None:
    (root / "det" / "val" / "00000.jpg").unlink()


def _cut_a_file(root: Path) -> None:
    path = root / "seg" / "images" / "train_00000.jpg"
    path.write_bytes(path.read_bytes()[:100])


def _lose_the_marker(root: Path) -> None:
    """As a run leaves the folder that was stopped in the middle."""
    (root / "streets.json").rename(root / "streets.partial")
    (root / "seg" / "masks" / "val_00000.png").unlink()


def _spoil_the_marker(root: Path) -> None:
    (root / "streets.json").write_text("{")


@pytest.mark.parametrize("damage", [_lose_a_file, _cut_a_file, _lose_the_marker, _spoil_the_marker])
def test_damaged_folder_is_made_again(damage: object, tmp_path: Path) -> None:
    assert callable(damage)
    render_dataset(tmp_path, seed=1, counts=SMALL)
    whole = _digests(tmp_path)
    damage(tmp_path)
    assert _digests(tmp_path) != whole
    render_dataset(tmp_path, seed=1, counts=SMALL)
    assert _digests(tmp_path) == whole


def test_other_seed_or_counts_are_made_anew(tmp_path: Path) -> None:
    render_dataset(tmp_path, seed=1, counts=SMALL)
    first = _digests(tmp_path)
    render_dataset(tmp_path, seed=2, counts=SMALL)
    second = _digests(tmp_path)
    assert first["seg/images/train_00000.jpg"] != second["seg/images/train_00000.jpg"]
    render_dataset(tmp_path, seed=2, counts=Counts(2, 1, 1, 1, 1, 1))
    assert read_lines(tmp_path / "seg" / "train.txt") == ["train_00000", "train_00001"]


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "seg").mkdir()
    (tmp_path / "seg" / "mine.txt").write_text("precious")
    with pytest.raises(DataError, match="did not write"):
        render_dataset(tmp_path, seed=1, counts=SMALL)
    assert (tmp_path / "seg" / "mine.txt").read_text() == "precious"


def test_counts_below_one_are_refused() -> None:
    with pytest.raises(DataError, match="det_val is 0"):
        Counts(det_val=0)
