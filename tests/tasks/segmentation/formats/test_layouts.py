"""The layouts of public data sets: real samples, generated trees, and what is said when a file is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from umbel import DataError, read_label_map, write_image
from umbel.tasks.segmentation.formats.class_sets import CITYSCAPES

SIZE = (6, 8)
EVERY_TRAIN_ID = np.array([*range(19), 255], np.uint8)


def picture(path: Path) -> None:
    write_image(path, np.zeros((*SIZE, 3), np.uint8))


def mask(path: Path, values: object = 0) -> None:
    write_image(path, np.resize(np.array(values, np.uint8), SIZE))


def bdd_new(root: Path, masks: object = EVERY_TRAIN_ID) -> Path:
    for split in ("train", "val"):
        picture(root / f"images/10k/{split}/a-1.jpg")
        mask(root / f"labels/sem_seg/masks/{split}/a-1.png", masks)
    return root


def bdd_old(root: Path) -> Path:
    for split in ("train", "val"):
        picture(root / f"seg/images/{split}/a-1.jpg")
        mask(root / f"seg/labels/{split}/a-1_train_id.png", EVERY_TRAIN_ID)
        mask(root / f"seg/labels/{split}/a-1_train_color.png")
    return root


def challenge(root: Path) -> Path:
    for split in ("train", "val"):
        picture(root / f"seg/images/{split}/a-1.jpg")
        mask(root / f"seg/label/{split}/a-1.png", EVERY_TRAIN_ID)
    return root


def cityscapes(root: Path, ending: str = "labelTrainIds", values: object = EVERY_TRAIN_ID) -> Path:
    for split in ("train", "val"):
        for city in ("ulm", "bochum"):
            picture(root / f"leftImg8bit/{split}/{city}/{city}_0_leftImg8bit.png")
            mask(root / f"gtFine/{split}/{city}/{city}_0_gtFine_{ending}.png", values)
            mask(root / f"gtFine/{split}/{city}/{city}_0_gtFine_instanceIds.png")
    return root


def camvid(root: Path) -> Path:
    for split in ("train", "val"):
        picture(root / f"{split}/a-1.png")
        mask(root / f"{split}annot/a-1.png", range(12))
        (root / f"{split}.txt").write_text(f"/SegNet/CamVid/{split}/a-1.png /SegNet/CamVid/{split}annot/a-1.png\n")
    return root


LAYOUTS = {
    "bdd_new": (bdd_new, "bdd100k"),
    "bdd_old": (bdd_old, "bdd100k"),
    "challenge": (challenge, "challenge"),
    "cityscapes": (cityscapes, "cityscapes"),
    "camvid": (camvid, "camvid"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("named", [False, True])
def test_every_layout_is_told_by_its_look(make_segmentation, tmp_path, layout, named):
    make, name = LAYOUTS[layout]
    make(tmp_path)
    task = make_segmentation(class_names=[], format=name if named else "auto")
    names = task.class_names
    assert names == list(CITYSCAPES) or (name == "camvid" and len(names) == 11)
    for split in ("train", "val"):
        data = task.dataset(split)
        assert [sample.id for sample in data] in (["a-1"], ["bochum/bochum_0", "ulm/ulm_0"])
        assert set(np.unique(data[0].target)) == {*range(len(names)), 255}


def test_bdd100k_samples(make_segmentation, shared):
    task = make_segmentation(root=str(shared / "formats/bdd100k_seg"), class_names=[])
    train, val = task.dataset("train"), task.dataset("val")
    assert (len(train), len(val)) == (4, 4)
    assert train.records[0].id == "00a360bd-27ccb1dd"
    sample = train[0]
    assert sample.size == sample.target.shape == (720, 1280)
    assert set(np.unique(sample.target)) == {0, 5, 6, 7, 8, 9, 10, 13, 14, 255}
    assert task.class_names[13] == "car"
    inner = make_segmentation(root=str(shared / "formats/bdd100k_seg/seg"), class_names=[]).dataset("val")
    assert [record.id for record in inner.records] == [record.id for record in val.records]


def test_challenge_samples_equal_those_of_bdd100k(make_segmentation, shared):
    root = shared / "formats/open_transmind/datasets/track1_train_data"
    task = make_segmentation(root=str(root), class_names=[])
    original = make_segmentation(root=str(shared / "formats/bdd100k_seg"), class_names=[])
    for split in ("train", "val"):
        found = {sample.id: sample.target for sample in task.dataset(split)}
        expected = {sample.id: sample.target for sample in original.dataset(split)}
        assert len(found) == 2
        assert all(np.array_equal(labels, expected[name]) for name, labels in found.items())


def test_camvid_sample(make_segmentation, shared):
    """The same image was converted by hand for the folder layout; there 11 had become 255 already."""
    task = make_segmentation(root=str(shared / "formats/camvid_segnet/CamVid"), class_names=[])
    [sample] = list(task.dataset("train"))
    assert (sample.id, sample.size) == ("0001TP_006690", (360, 480))
    assert task.class_names == (shared / "data/seg/classes.txt").read_text().split()
    converted = shared / "data/seg/masks/0001TP_006690.png"
    assert np.array_equal(sample.target, read_label_map(converted))
    with pytest.raises(DataError, match=r"val\.txt: no such file"):
        task.dataset("val")


@pytest.mark.parametrize(
    ("layout", "lost", "message"),
    [
        ("bdd_new", "labels/sem_seg/masks/train/a-1.png", r"masks/train: holds no a-1\.\*, the mate of .*a-1\.jpg"),
        ("bdd_new", "images/10k/train/a-1.jpg", r"holds no image <name>\.\*"),
        ("bdd_old", "seg/labels/train/a-1_train_id.png", r"labels/train: holds no a-1_train_id\.\*, the mate of"),
        ("challenge", "seg/label/train/a-1.png", r"label/train: holds no a-1\.\*, the mate of .*images/train/a-1\.jpg"),
        ("cityscapes", "gtFine/train/ulm/ulm_0_gtFine_labelTrainIds.png", r"holds no ulm_0_gtFine_labelTrainIds\.\*"),
        ("camvid", "trainannot/a-1.png", r"trainannot/a-1\.png: no such file, which train\.txt lists"),
        ("camvid", "train/a-1.png", r"train/a-1\.png: no such file"),
    ],
)  # fmt: skip
def test_a_missing_mate_is_named(make_segmentation, tmp_path, layout, lost, message):
    make, name = LAYOUTS[layout]
    make(tmp_path)
    (tmp_path / lost).unlink()
    with pytest.raises(DataError, match=message):
        make_segmentation(class_names=[], format=name).dataset("train")


def test_a_mask_without_image_is_named_too(make_segmentation, tmp_path):
    bdd_new(tmp_path)
    mask(tmp_path / "labels/sem_seg/masks/train/b.png")
    with pytest.raises(DataError, match=r"images/10k/train: holds no b\.\*, the mate of .*masks/train/b\.png"):
        make_segmentation(class_names=[]).dataset("train")


def test_pairing_is_not_by_position(make_segmentation, tmp_path):
    """One more image in front and one more mask behind: sorted lists of equal length, yet not pairs."""
    challenge(tmp_path)
    picture(tmp_path / "seg/images/train/0.jpg")
    mask(tmp_path / "seg/label/train/z.png")
    with pytest.raises(DataError, match="the mate of"):
        make_segmentation(class_names=[]).dataset("train")


def test_two_images_of_one_name(make_segmentation, tmp_path):
    bdd_new(tmp_path)
    picture(tmp_path / "images/10k/train/a-1.png")
    with pytest.raises(DataError, match=r"several files of stem 'a-1': a-1\.jpg, a-1\.png"):
        make_segmentation(class_names=[]).dataset("train")


@pytest.mark.parametrize(("layout", "value"), [("bdd_new", 19), ("bdd_new", 254), ("camvid", 12), ("camvid", 255)])
def test_labels_that_mean_nothing(make_segmentation, tmp_path, layout, value):
    make, _ = LAYOUTS[layout]
    make(tmp_path)
    path = "trainannot" if layout == "camvid" else "labels/sem_seg/masks/train"
    mask(tmp_path / path / "a-1.png", [0, value])
    with pytest.raises(DataError, match=rf"a-1\.png: has label {value}, which is no class"):
        make_segmentation(class_names=[]).dataset("train")[0]


def test_cityscapes_raw_ids(make_segmentation, tmp_path):
    """The table of the Cityscapes scripts (helpers/labels.py), written out."""
    ids = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    expected = [ids.index(value) if value in ids else 255 for value in range(34)]
    cityscapes(tmp_path, "labelIds", range(34))
    target = make_segmentation(class_names=[]).dataset("val")[1].target
    assert np.array_equal(target, np.resize(expected, SIZE))
    mask(tmp_path / "gtFine/val/ulm/ulm_0_gtFine_labelIds.png", 34)
    with pytest.raises(DataError, match="has label 34"):
        make_segmentation(class_names=[]).dataset("val")[1]


def test_train_ids_are_preferred_to_raw_ids(make_segmentation, tmp_path):
    cityscapes(tmp_path, "labelIds", 26)
    cityscapes(tmp_path, "labelTrainIds", 13)
    assert (make_segmentation(class_names=[]).dataset("train")[0].target == 13).all()


def test_a_city_without_masks(make_segmentation, tmp_path):
    cityscapes(tmp_path)
    shutil.rmtree(tmp_path / "gtFine/train/ulm")
    with pytest.raises(DataError, match=r"gtFine/train/ulm: no such folder"):
        make_segmentation(class_names=[]).dataset("train")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/SegNet/CamVid/train/a-1.png", "has not two columns"),
        ("a/train/a-1.png b/trainannot/a-1.png c", "has not two columns"),
        ("/SegNet/CamVid/train/a-1.png /SegNet/CamVid/trainannot/b.png", r"pairs a-1\.png with b\.png"),
        ("/SegNet/../train/a-1.png /SegNet/trainannot/a-1.png", "does not name a file inside"),
        ("/SegNet/../a-1.png /SegNet/trainannot/a-1.png", "does not name a file inside"),
        ("train/.. trainannot/..", "does not name a file inside"),
        ("/etc/passwd /etc/passwd", r"etc/passwd: no such file, which train\.txt lists"),
    ],
)
def test_broken_camvid_lists(make_segmentation, tmp_path, line, message):
    camvid(tmp_path)
    (tmp_path / "train.txt").write_text(line + "\n")
    with pytest.raises(DataError, match=message):
        make_segmentation(class_names=[], format="camvid").dataset("train")


def test_camvid_lists_name_an_image_once(make_segmentation, tmp_path):
    listing = camvid(tmp_path) / "train.txt"
    listing.write_text(listing.read_text() * 2)
    with pytest.raises(DataError, match="lists 'a-1' twice"):
        make_segmentation(class_names=[]).dataset("train")


def test_two_layouts_in_one_root_are_not_guessed_between(make_segmentation, tmp_path):
    challenge(bdd_old(tmp_path))
    with pytest.raises(DataError, match=r"2 known ways: bdd100k, challenge .*set format"):
        make_segmentation(class_names=[]).dataset("train")
    assert len(make_segmentation(class_names=[], format="challenge").dataset("train")) == 1


def test_an_unknown_root_lists_every_layout(make_segmentation, tmp_path):
    with pytest.raises(DataError) as caught:
        make_segmentation(class_names=[]).dataset("train")
    for name in ("folders", "bdd100k", "challenge", "cityscapes", "camvid", "polygons"):
        assert f"{name}: " in str(caught.value)


def test_known_classes_may_be_reordered_and_merged(make_segmentation, tmp_path):
    bdd_new(tmp_path)
    order = ["bicycle", *CITYSCAPES[:-1]]
    target = make_segmentation(class_names=order).dataset("train")[0].target
    assert np.array_equal(target.ravel()[:20], [*range(1, 19), 0, 255])
    four_wheels = dict.fromkeys(("car", "truck", "bus"), "vehicle")
    task = make_segmentation(class_names=[], class_map={**four_wheels, "sky": None}, ignore_index=77)
    assert len(task.class_names) == 16
    target = task.dataset("train")[0].target.ravel()
    assert len(set(target[[13, 14, 15]])) == 1
    assert task.class_names[target[13]] == "vehicle"
    assert target[10] == target[19] == 77


@pytest.mark.parametrize("tree", ["{s}/{f}", "{f}/{s}"])
def test_folders_of_splits_are_read_apart_and_their_masks_alike(make_segmentation, tmp_path, tree):
    """One split shows both classes of 0 and 255, the other one only; images may lie deeper."""
    for split, value in (("train", 255), ("valid", 0)):
        for name in ("a", "deep/b"):
            write_image(tmp_path / tree.format(s=split, f="images") / f"{name}.jpg", np.zeros((8, 8, 3), np.uint8))
            mask = np.zeros((8, 8), np.uint8)
            mask[:4] = value
            write_image(tmp_path / tree.format(s=split, f="masks") / f"{name}.png", mask)
    (tmp_path / "classes.txt").write_text("ground\nthing\n")
    task = make_segmentation(root=str(tmp_path), class_names=[])
    train, val = task.dataset("train"), task.dataset("val")
    assert [record.id for record in train.records] == [record.id for record in val.records] == ["a", "deep/b"]
    assert np.unique(train[1].target).tolist() == [0, 1]
    assert np.unique(val[1].target).tolist() == [0]


def test_further_lists_of_training_images(make_segmentation, tmp_path):
    for stem in "abc":
        picture(tmp_path / f"images/{stem}.jpg")
        mask(tmp_path / f"masks/{stem}.png", range(2))
    (tmp_path / "classes.txt").write_text("ground\nweed\n")
    for name, stems in (("train", "a"), ("more", "b"), ("val", "c"), ("again", "a")):
        (tmp_path / f"{name}.txt").write_text(stems)
    task = make_segmentation(class_names=[], more_train_lists=["more.txt"])
    assert [record.id for record in task.dataset("train").records] == ["a", "b"]
    assert [record.id for record in task.dataset("val").records] == ["c"]
    with pytest.raises(DataError, match=r"again\.txt: lists 'a' twice"):
        make_segmentation(class_names=[], more_train_lists=["again.txt"]).dataset("train")
