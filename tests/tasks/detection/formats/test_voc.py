"""Pascal VOC: real files, both layouts, and hostile or broken XML."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from umbel import ConfigError, DataError, write_image
from umbel.tasks.detection.formats.voc import Voc
from umbel.tasks.detection.formats.voc_xml import read_voc_xml
from umbel.tasks.detection.options import DetectionOptions

OBJECT = "<object><name>{}</name><difficult>{}</difficult><bndbox>{}</bndbox></object>"
BOX = "<xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>24</ymax>"


def xml(*objects: str, size: str = "<size><width>40</width><height>30</height></size>") -> str:
    return f"<annotation><filename>a.png</filename>{size}{''.join(objects)}</annotation>"


def sign(name: str = "stop", difficult: object = 0, box: str = BOX) -> str:
    return OBJECT.format(name, difficult, box)


def picture(path: Path) -> None:
    write_image(path, np.full((30, 40, 3), 90, np.uint8))


@pytest.fixture
def folders(tmp_path):
    """One image a split, XML beside it."""

    def make(train: str, val: str | None = None) -> Path:
        for split, text in (("train", train), ("val", val or xml(sign()))):
            picture(tmp_path / split / "a.png")
            (tmp_path / split / "a.xml").write_text(text)
        return tmp_path

    return make


@pytest.fixture
def lists(tmp_path):
    """Two images in the folders of VOC, one a split."""
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "Annotations").mkdir()
    for split, stem, name in (("train", "b", "stop"), ("val", "a", "yield")):
        picture(tmp_path / "JPEGImages" / f"{stem}.jpg")
        (tmp_path / "Annotations" / f"{stem}.xml").write_text(xml(sign(name)))
        (tmp_path / "ImageSets" / "Main" / f"{split}.txt").write_text(f"{stem}\n\n")
    return tmp_path


def test_real_files_of_tt100k(shared):
    """Counts by hand: 12 files with 31 objects; every number is in the text of its file."""
    options = DetectionOptions(root=str(shared / "formats" / "tt100k" / "voc_xml"), val_images="test")
    assert Voc().matches(options)
    train, val = (Voc().read(options, split) for split in ("train", "val"))
    assert {split: [len(r.boxes_N4) for r in found.records] for split, found in (("train", train), ("val", val))} == {
        "train": [1, 2, 1, 1, 2, 3],
        "val": [5, 5, 5, 3, 1, 2],
    }
    assert train.class_names == val.class_names == tuple(sorted(set(train.class_names)))
    for record in (*train.records, *val.records):
        text = Path(record.source).read_text()
        assert record.size == (2048, 2048)
        assert [val.class_names[k] for k in record.classes_N] == re.findall("<name>(.*)</name>", text)
        assert [str(int(value)) for value in record.boxes_N4.ravel()] == re.findall("<[xy]m[axin]+>(.*)</", text)


def test_real_road_signs_with_their_images(shared, make_task):
    task = make_task(shared / "formats" / "voc_roadsign", train_images=".", format="voc")
    data = task.dataset("train")
    assert task.categories.names == ("stop", "trafficlight")
    found = {sample.id: (sample.size, sample.target) for sample in data}
    assert {name: size for name, (size, _) in found.items()} == {
        "road0.png": (400, 267),
        "road5.png": (400, 267),
        "road52.png": (400, 300),
    }
    assert found["road0.png"][1].boxes_N4.tolist() == [[98, 62, 208, 232]]
    assert found["road52.png"][1].boxes_N4.tolist() == [[42, 166, 246, 367]]
    assert [int(found[name][1].classes_N[0]) for name in ("road0.png", "road5.png", "road52.png")] == [1, 1, 0]


def test_lists_name_stems_and_splits_share_the_classes(lists, make_task):
    task = make_task(lists)
    train, val = task.dataset("train"), task.dataset("val")
    assert task.categories.names == ("stop", "yield")
    assert [(s.id, s.target.classes_N.tolist(), s.target.boxes_N4.tolist()) for s in (train[0], val[0])] == [
        ("b.jpg", [0], [[3, 4, 20, 24]]),
        ("a.jpg", [1], [[3, 4, 20, 24]]),
    ]


def test_stems_may_hold_spaces(lists, make_task):
    (lists / "Annotations" / "b.xml").rename(lists / "Annotations" / "b 1.xml")
    (lists / "JPEGImages" / "b.jpg").rename(lists / "JPEGImages" / "b 1.jpg")
    (lists / "ImageSets" / "Main" / "train.txt").write_text("b 1\r\n")
    assert make_task(lists).dataset("train")[0].id == "b 1.jpg"


def test_lists_and_folders_of_other_names(lists, make_task):
    for old, new in (("ImageSets/Main/train.txt", "t.txt"), ("JPEGImages", "pictures"), ("Annotations", "xml")):
        (lists / old).rename(lists / new)
    task = make_task(
        lists, format="voc", train_list="t.txt", train_images="pictures", train_annotations="xml",
        val_images="pictures", val_annotations="xml",
    )  # fmt: skip
    assert [task.dataset(split)[0].id for split in ("train", "val")] == ["b.jpg", "a.jpg"]


def test_learnt_classes_suffice_when_only_one_split_is_there(lists, make_task):
    learnt = make_task(lists, class_map={"stop": "halt"}).inferred_options()
    assert learnt == {"class_names": ["halt", "yield"], "category_ids": [1, 2]}
    assert make_task("absent", class_map={"stop": "halt"}, **learnt).categories.names == ("halt", "yield")
    (lists / "ImageSets" / "Main" / "train.txt").rename(lists / "gone.txt")
    again = make_task(lists, class_map={"stop": "halt"}, **learnt)
    assert again.dataset("val")[0].target.classes_N.tolist() == [1]


@pytest.mark.parametrize(
    ("difficult", "crowd"), [("ignore", [False, True]), ("keep", [False, False]), ("drop", [False])]
)
def test_difficult_objects(folders, make_task, difficult, crowd):
    root = folders(xml(sign(), sign(difficult=1)))
    assert make_task(root, difficult=difficult).dataset("train")[0].target.crowd_N.tolist() == crowd


@pytest.mark.parametrize(
    ("written", "crowd"), [("Unspecified", False), ("false", False), ("", False), ("True", True), (" 1 ", True)]
)
def test_ways_to_write_difficult(folders, make_task, written, crowd):
    target = make_task(folders(xml(sign(difficult=written)))).dataset("train")[0].target
    assert target.crowd_N.tolist() == [crowd]


def test_parts_of_objects_are_not_objects(folders, make_task):
    part = f"<part><name>hand</name><bndbox>{BOX.replace('20', '9')}</bndbox></part>"
    root = folders(xml(sign().replace("</object>", part + "</object>")))
    assert make_task(root).dataset("train")[0].target.boxes_N4.tolist() == [[3, 4, 20, 24]]


def test_image_of_another_stem_is_found_by_its_file_name(folders, make_task):
    root = folders(xml(sign()))
    (root / "train" / "a.xml").rename(root / "train" / "first.xml")
    assert make_task(root).dataset("train")[0].id == "a.png"


def test_size_of_zero_is_unknown(folders, make_task):
    zero = "<size><width>0</width><height>0</height></size>"
    record = make_task(folders(xml(sign(), size=zero))).dataset("train").records[0]
    assert record.size is None
    assert make_task(folders(xml(sign(), size=""))).dataset("train")[0].size == (30, 40)


def entity_bomb() -> str:
    levels = "".join(f'<!ENTITY e{k} "{f"&e{k - 1};" * 10}">' for k in range(1, 12))
    return f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e0 "ha">{levels}]>{xml(sign("&e11;"))}'


BROKEN = {
    "has a DOCTYPE": entity_bomb(),
    "DOCTYPE.*entities": '<!DOCTYPE a SYSTEM "file:///etc/passwd">' + xml(),
    "more than 32 deep": "<annotation>" + "<a>" * 200_000,
    "not valid XML": xml()[:-4],
    "is not valid XML: undefined entity": xml(sign("&who;")),
    "root <html>": "<html/>",
    "object 2 has no name": xml(sign(), sign("")),
    "object 1, 'stop', has 0 bndbox": xml(sign().replace("bndbox", "box")),
    "object 1, 'stop', has xmax 'wide'; expected a number": xml(sign(box=BOX.replace("20", "wide"))),
    "object 1, 'stop', has difficult 'hard'; expected 0 or 1": xml(sign(difficult="hard")),
    "has ymin ''": xml(sign(box="<xmin>3</xmin>")),
    "size 40 x -30": xml(size="<size><width>40</width><height>-30</height></size>"),
    "size has height ''": xml(size="<size><width>40</width></size>"),
    "is inverted": xml(sign(box=BOX.replace("20", "2"))),
    "is not finite": xml(sign(box=BOX.replace("20", "nan"))),
    "outside the image of 40 x 30": xml(sign(box="<xmin>50</xmin><ymin>4</ymin><xmax>60</xmax><ymax>24</ymax>")),
    "side of zero": xml(sign(box=BOX.replace("20", "3"))),
}


@pytest.mark.parametrize("message", BROKEN)
def test_broken_xml_is_named(folders, make_task, message):
    started = time.process_time()
    with pytest.raises(DataError, match=message) as caught:
        make_task(folders(BROKEN[message])).dataset("train")
    assert "train/a.xml" in str(caught.value)
    assert len(str(caught.value)) < 600
    assert time.process_time() - started < 5


def test_bad_boxes_can_be_dropped(folders, make_task):
    data = make_task(folders(xml(sign(), sign(box=BOX.replace("20", "nan")))), bad_boxes="drop").dataset("train")
    assert (data.dropped, len(data[0].target.boxes_N4)) == (1, 1)


def test_huge_and_binary_files_are_refused_unread(tmp_path):
    path = tmp_path / "a.xml"
    with path.open("wb") as file:
        file.truncate(50 * 2**20)
    with pytest.raises(DataError, match="larger than 4,194,304 bytes"):
        read_voc_xml(path)
    path.write_bytes(b"\xff\xfe\x00<")
    with pytest.raises(DataError, match="not UTF-8"):
        read_voc_xml(path)


def test_names_do_not_lead_out_of_the_folder(folders, lists, make_task):
    listing = lists / "ImageSets" / "Main" / "train.txt"
    listing.write_text("../../secret\n")
    with pytest.raises(DataError, match=r"train\.txt: entry '\.\./\.\./secret\.xml' does not name a file inside"):
        make_task(lists, format="voc").dataset("train")
    listing.unlink()
    root = folders(xml().replace("a.png", "../../a.png"))
    (root / "train" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.xml: entry '\.\./\.\./a\.png' does not name a file inside"):
        make_task(root, format="voc").dataset("train")


def test_missing_and_ambiguous_images_are_named(folders, make_task):
    root = folders(xml())
    picture(root / "train" / "a.jpg")
    with pytest.raises(DataError, match=r"several images of stem 'a': a\.jpg, a\.png"):
        make_task(root).dataset("train")
    for name in ("a.jpg", "a.png"):
        (root / "train" / name).unlink()
    with pytest.raises(DataError, match=r"a\.xml: image 'a\.png' does not exist \(looked for .*train/a\.png"):
        make_task(root).dataset("train")
    (root / "train" / "a.xml").write_text("<annotation/>")
    with pytest.raises(DataError, match="holds none of its stem, and it has no filename"):
        make_task(root).dataset("train")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no images"),
        ("b 1\n", "line 'b 1' has several columns"),
        ("b\nb\n", "stem 'b' is given twice"),
        ("c\n", r"c\.xml: no such file"),
    ],
)
def test_broken_lists_are_named(lists, make_task, text, message):
    (lists / "ImageSets" / "Main" / "train.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        make_task(lists).dataset("train")


def test_folders_without_xml_are_named(tmp_path, make_task):
    picture(tmp_path / "train" / "a.png")
    with pytest.raises(DataError, match=r"train: holds no XML files \(VOC needs ImageSets/Main/train\.txt"):
        make_task(tmp_path, format="voc").dataset("train")


def test_classes_that_the_recipe_does_not_name_are_errors(lists, make_task):
    with pytest.raises(DataError, match="not of the task: yield"):
        make_task(lists, class_names=["stop"]).dataset("val")
    with pytest.raises(ConfigError, match=r"class_map: 'yeild' is no class.*did you mean 'yield'"):
        make_task(lists, class_map={"yeild": None}).dataset("train")
