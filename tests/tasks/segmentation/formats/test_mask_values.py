"""What the values of masks mean: ids, 0 and 255 for two classes, or what the recipe says."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from umbel import ConfigError, DataError, write_image
from umbel.workflows.check.check import check_data


def write(root: Path, masks: Sequence[np.ndarray], names: str | None = "ground\nlesion\n") -> Path:
    stems = []
    for number, mask in enumerate(masks):
        stems.append(f"p{number}")
        write_image(root / "images" / f"p{number}.png", np.full((*mask.shape, 3), number, np.uint8))
        write_image(root / "masks" / f"p{number}.png", mask)
    (root / "train.txt").write_text("\n".join(stems[:-1]))
    (root / "val.txt").write_text(stems[-1])
    if names is not None:
        (root / "classes.txt").write_text(names)
    return root


def mask(*values: int) -> np.ndarray:
    """12 rows of one pixel each, the values repeated."""
    return np.resize(np.array(values, np.uint8), (12, 1))


def targets(task, split="train"):
    return np.concatenate([sample.target.ravel() for sample in task.dataset(split)])


def test_0_and_255_are_the_two_classes(make_segmentation, tmp_path):
    write(tmp_path, [mask(0), mask(0, 255, 255), mask(255, 0), mask(0, 255)])
    task = make_segmentation(class_names=[])
    assert task.class_names == ["ground", "lesion"]
    assert np.bincount(targets(task)).tolist() == [12 + 4 + 6, 8 + 6]
    assert targets(task, "val").tolist() == [0, 1] * 6
    learnt = task.inferred_options()
    assert learnt == {"class_names": ["ground", "lesion"], "label_values": {0: "ground", 255: "lesion"}}
    again = make_segmentation(**learnt)
    (tmp_path / "classes.txt").unlink()
    assert targets(again, "val").tolist() == [0, 1] * 6


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_one_pixel_of_class_1_anywhere_keeps_255_unlabelled(make_segmentation, tmp_path_factory, data):
    root = tmp_path_factory.mktemp("ids")
    masks = [mask(*data.draw(st.lists(st.sampled_from([0, 255]), min_size=1, max_size=4))) for _ in range(4)]
    place = data.draw(st.integers(0, 3))
    masks[place][data.draw(st.integers(0, 11))] = 1
    write(root, masks)
    task = make_segmentation(class_names=[], root=str(root))
    stored = np.concatenate([m.ravel() for m in masks])
    found = np.concatenate([targets(task), targets(task, "val")])
    assert np.array_equal(found, stored)
    assert "label_values" not in task.inferred_options()


def test_the_recipe_may_say_that_255_is_unlabelled(make_segmentation, tmp_path):
    write(tmp_path, [mask(0, 255)] * 3)
    task = make_segmentation(class_names=[], label_values={0: "ground", 1: "lesion", 255: None})
    assert targets(task).tolist() == [0, 255] * 12
    task = make_segmentation(class_names=[], label_values={0: None, 255: "lesion"})
    assert targets(task).tolist() == [255, 1] * 12


@pytest.mark.parametrize(
    ("stored", "values"),
    [
        ((0, 127), {0: "ground", 127: "lesion"}),
        ((0, 128, 255), {0: "ground", 128: "edge", 255: "lesion"}),
        ((0, 1, 2), {0: None, 1: "ground", 2: "lesion"}),  # ids from 1 on, 0 unlabelled
    ],
)
def test_any_other_values_are_named_and_can_be_said(make_segmentation, tmp_path, stored, values):
    write(tmp_path, [mask(*stored)] * 2, names=None)
    task = make_segmentation(class_names=[], label_values=values)
    names = [name for name in values.values() if name is not None]
    assert task.class_names == names
    expected = [255 if values[value] is None else names.index(values[value]) for value in stored]
    assert targets(task).tolist() == np.resize(expected, 12).tolist()
    (tmp_path / "classes.txt").write_text("ground\nlesion\n")
    stranger = next(value for value in stored if value not in (0, 1))
    with pytest.raises(DataError, match=f"has label {stranger}, which is no class.*label_values says"):
        targets(make_segmentation(class_names=[]))


def test_more_masks_than_are_looked_at(make_segmentation, tmp_path, monkeypatch):
    monkeypatch.setattr("umbel.tasks.segmentation.formats.mask_values.LOOKED_AT", 2)
    write(tmp_path, [mask(0, 255), mask(0, 1), mask(0, 255), mask(0, 255)])
    with pytest.raises(DataError, match=r"p1\.png: has label 1, which is no class.*255 lesion.*label_values says"):
        targets(make_segmentation(class_names=[]))


@pytest.mark.parametrize("names", ["ground\n", "a\nb\nc\n"])
def test_other_numbers_of_classes(make_segmentation, tmp_path, names):
    write(tmp_path, [mask(0, 255)] * 3, names)
    task = make_segmentation(class_names=[])
    if names == "ground\n":
        with pytest.raises(
            DataError, match=r"holds masks of 0 and 255, but there is a single class, 'ground'.*background"
        ):
            task.dataset("train")
        task = make_segmentation(class_names=[], label_values={0: "ground", 255: None})
    assert targets(task).tolist() == [0, 255] * 12


def test_wrong_values_in_the_recipe_are_named(make_segmentation, tmp_path):
    write(tmp_path, [mask(0, 255)] * 2)
    with pytest.raises(ConfigError, match=r"label_values: calls 255 'leson', which is no class.*ground, lesion"):
        make_segmentation(class_names=[], label_values={0: "ground", 255: "leson"}).dataset("train")
    with pytest.raises(ValueError, match="label_values"):
        make_segmentation(label_values={256: "lesion"})
    with pytest.raises(ValueError, match="label_values"):
        make_segmentation(label_values={0: "lesion", 1: "lesion"})


def encoded(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


WHITE = Image.fromarray(np.resize(np.array([0, 255], np.uint8), (12, 1)))
PALETTE = Image.fromarray(np.resize(np.array([0, 1], np.uint8), (12, 1))).convert("P")
PALETTE.putpalette([0, 0, 0, 255, 255, 255] + [0] * 762)
DEEP = Image.fromarray(np.resize(np.array([0, 65535], np.uint16), (12, 1)))
FORMS = {
    "one bit": (encoded(WHITE.convert("1"), "PNG"), None),
    "palette": (encoded(PALETTE, "PNG"), None),
    "colours": (encoded(WHITE.convert("RGB"), "PNG"), "colour-mask"),
    "alpha": (encoded(WHITE.convert("LA"), "PNG"), "colour-mask"),
    "jpeg": (encoded(WHITE, "JPEG"), "lossy-mask"),
    "16 bits": (encoded(DEEP, "PNG"), "label"),
    "floats": (encoded(WHITE.convert("F"), "TIFF"), "float-pixels"),
    "smoothed": (encoded(Image.fromarray(np.arange(12, dtype=np.uint8)[:, None] * 20), "PNG"), "label"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_or_is_a_finding(make_segmentation, tmp_path, form):
    write(tmp_path, [mask(0, 255)] * 3)
    data, kind = FORMS[form]
    for path in (tmp_path / "masks").iterdir():
        path.write_bytes(data)
    task = make_segmentation(class_names=[])
    found = [finding for finding in check_data({"road": task}, workers=0).findings if finding.severity == "error"]
    if kind is None:
        assert targets(task).tolist() == [0, 1] * 12
    else:
        assert {finding.kind for finding in found} >= {kind}
        assert all(finding.remedy for finding in found)
        assert sum(finding.kind == kind for finding in found) == 3  # one a file, however many values


def test_a_class_without_a_pixel_is_a_finding(make_segmentation, tmp_path):
    write(tmp_path, [mask(0), mask(0, 2), mask(0, 2, 2)], "a\nb\nc\n")
    report = check_data({"road": make_segmentation(class_names=[])}, workers=0)
    assert [(found.kind, found.severity) for found in report.findings if "'b'" in found.message] == [
        ("absent-class", "warning")
    ]
    assert "'c'" not in " ".join(found.message for found in report.findings)
    write(tmp_path, [mask(0, 255, 1)] * 3)
    assert not [f for f in check_data({"road": make_segmentation()}, workers=0).findings if f.severity == "error"]
