"""Which format a folder is taken for, the challenge's layout, and one data set in every format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from umbel import DataError, write_image, write_json
from umbel.tasks.detection.formats.coco import read_coco
from umbel.tasks.detection.formats.registry import FORMATS, find_format
from umbel.tasks.detection.options import DetectionOptions

COCO = {
    "images": [{"id": 4, "file_name": "a.png"}],
    "annotations": [{"id": 1, "image_id": 4, "category_id": 8, "bbox": [1, 2, 10, 10]}],
    "categories": [{"id": 8, "name": "stop"}],
}
VOC = "<annotation><filename>a.png</filename></annotation>"
MARKS = {
    "coco": {"annotations/val.json": json.dumps(COCO)},
    "voc": {"train/a.xml": VOC},
    "yolo": {"data.yaml": "names: [a]"},
    "tt100k": {"annotations.json": '{"types": [], "imgs": {}}'},
    "challenge": {"dec/train.json": json.dumps(COCO)},
}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.mark.parametrize("name", MARKS)
def test_every_format_is_told_by_its_look(tmp_path, name):
    write(tmp_path, MARKS[name])
    assert find_format(DetectionOptions(root=str(tmp_path))) is FORMATS[name]


def test_voc_is_told_by_its_lists(tmp_path):
    write(tmp_path, {"ImageSets/Main/val.txt": "a", "Annotations/a.xml": VOC})
    assert find_format(DetectionOptions(root=str(tmp_path))) is FORMATS["voc"]


def test_several_looks_are_an_error(tmp_path):
    write(tmp_path, MARKS["coco"] | MARKS["voc"])
    with pytest.raises(DataError, match=r"2 known ways: coco, voc \(set format to one of them; found coco: .*; voc: "):
        find_format(DetectionOptions(root=str(tmp_path)))
    assert find_format(DetectionOptions(root=str(tmp_path), format="voc")) is FORMATS["voc"]


def test_no_look_is_an_error_that_lists_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match="no known way") as caught:
        find_format(DetectionOptions(root=str(tmp_path)))
    assert all(f"{name}: {form.looks_for}" in str(caught.value) for name, form in FORMATS.items())


def test_the_real_coco_excerpt_and_the_challenges_file_are_the_same(shared):
    """30 images and 75 boxes of 151 categories, all 2048 x 2048."""
    root = shared / "formats"
    excerpt = read_coco(Path("absent"), root / "tt100k" / "coco_151" / "test_excerpt.json")
    options = DetectionOptions(root=str(root / "open_transmind" / "datasets" / "track1_train_data"))
    assert find_format(options) is FORMATS["challenge"]
    challenge = FORMATS["challenge"].read(options, "val")
    assert FORMATS["challenge"].splits(options) == ["val"]
    for found in (excerpt, challenge):
        assert (len(found.records), len(found.class_names)) == (30, 151)
        assert sum(len(record.boxes_N4) for record in found.records) == 75
        assert {record.size for record in found.records} == {(2048, 2048)}
    assert [record.image_id for record in challenge.records[:2]] == [2, 5]
    assert challenge.records[0].path == Path(options.root) / "dec" / "val" / "32773.jpg"
    with pytest.raises(DataError, match=r"dec/train\.json: no such file"):
        FORMATS["challenge"].read(options, "train")


@pytest.fixture
def dec(tmp_path):
    for split in ("train", "val", "test"):
        write_image(tmp_path / "dec" / split / "a.png", np.full((30, 40, 3), 90, np.uint8))
        if split != "test":
            write_json(tmp_path / "dec" / f"{split}.json", COCO)
    write_image(tmp_path / "dec" / "test" / "b.png", np.full((30, 40, 3), 90, np.uint8))
    (tmp_path / "dec" / "test.txt").write_text("b.png\na.png\n")
    return tmp_path


def test_challenge_counts_test_images_from_one(dec, make_task):
    task = make_task(dec)
    data = task.dataset("test")
    assert [(record.image_id, sample.id) for record, sample in zip(data.records, data, strict=True)] == [
        (1, "b.png"),
        (2, "a.png"),
    ]
    assert len(data[0].target.boxes_N4) == 0
    assert task.dataset("train")[0].target.boxes_N4.tolist() == [[1, 2, 11, 12]]
    assert (task.categories.names, task.categories.ids) == (("stop",), (8,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no images"),
        ("a.png\na.png", "image 'a.png' is given twice"),
        ("../val/a.png", "does not name a file inside"),
        ("c.png", "image 'c.png' does not exist"),
    ],
)
def test_broken_test_lists_are_named(dec, make_task, text, message):
    (dec / "dec" / "test.txt").write_text(text)
    with pytest.raises(DataError, match=rf"test\.txt: .*{message}"):
        make_task(dec).dataset("test")


def test_one_data_set_in_every_format(shared, tmp_path):
    """The real excerpt, rewritten as VOC and YOLO with the precision that these have."""
    source = shared / "formats" / "tt100k" / "coco_151" / "test_excerpt.json"
    wanted = read_coco(Path("absent"), source)
    files = {"data.yaml": f"names: {list(wanted.class_names)}\ntrain: train.txt\n"}
    for record in wanted.records:
        stem = Path(record.id).stem
        rows = [
            (wanted.class_names[k], k, *box) for k, box in zip(record.classes_N, record.boxes_N4.tolist(), strict=True)
        ]
        sides = ("xmin", "ymin", "xmax", "ymax")
        files[f"voc/train/{stem}.xml"] = VOC.replace("a.png", record.id).replace(
            "</annotation>",
            "".join(
                f"<object><name>{name}</name><bndbox>"
                + "".join(f"<{side}>{round(value)}</{side}>" for side, value in zip(sides, box, strict=True))
                + "</bndbox></object>"
                for name, _, *box in rows
            )
            + "</annotation>",
        )
        files[f"labels/{stem}.txt"] = "\n".join(
            f"{k} {(x1 + x2) / 4096:.6f} {(y1 + y2) / 4096:.6f} {(x2 - x1) / 2048:.6f} {(y2 - y1) / 2048:.6f}"
            for _, k, x1, y1, x2, y2 in rows
        )
    files["train.txt"] = "\n".join(f"images/{record.id}" for record in wanted.records)
    write(tmp_path, files)
    voc = FORMATS["voc"].read(DetectionOptions(root=str(tmp_path / "voc")), "train")
    yolo = FORMATS["yolo"].read(DetectionOptions(root=str(tmp_path)), "train")
    by_name = {form: {Path(r.id).name: r for r in found.records} for form, found in (("voc", voc), ("yolo", yolo))}
    for record in wanted.records:
        names = [wanted.class_names[k] for k in record.classes_N]
        for found, scale, tolerance in ((voc, 1, 0.5), (yolo, 2048, 0.004)):
            same = by_name["voc" if found is voc else "yolo"][record.id]
            assert [found.class_names[k] for k in same.classes_N] == names
            assert np.abs(same.boxes_N4 * scale - record.boxes_N4).max(initial=0) <= tolerance
