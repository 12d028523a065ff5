"""The folders layout and what is said about broken data sets."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from umbel import ConfigError, DataError, write_image


def build(make_segmentation, **options):
    return make_segmentation(class_names=[], **options)


def test_pairs_images_and_masks_by_stem(make_segmentation, seg_root):
    task = build(make_segmentation)
    train, val = task.dataset("train"), task.dataset("val")
    assert (len(train), len(val)) == (2, 1)
    assert task.class_names == ["sky", "road", "tree"]
    sample = train[1]
    assert sample.id == "b"
    assert sample.size == (12, 16)
    assert sample.image.shape == (12, 16, 3)
    assert sample.target.dtype == np.uint8
    assert (sample.target[0] == 255).all()


def test_camvid_is_read(make_segmentation, shared):
    task = make_segmentation(root=str(shared / "data/seg"), class_names=[])
    assert (len(task.dataset("train")), len(task.dataset("val"))) == (367, 101)
    sample = task.dataset("val")[0]
    assert sample.size == sample.target.shape == (360, 480)
    assert task.class_names[3] == "road"
    assert (sample.target[-40:, 200:260] == 3).mean() > 0.9  # the car's own lane


def test_missing_root(make_segmentation, tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        build(make_segmentation, root=str(tmp_path / "nowhere")).dataset("train")


def test_unknown_layout_says_what_was_looked_for(make_segmentation, tmp_path):
    with pytest.raises(DataError, match=r"no known way.*folders: a folder of images"):
        build(make_segmentation).dataset("train")


def test_unknown_format(make_segmentation, seg_root):
    with pytest.raises(ConfigError, match=r"'coco'.*folders"):
        build(make_segmentation, format="coco").dataset("train")


def test_missing_mask_names_the_stem_and_folder(make_segmentation, seg_root):
    (seg_root / "masks/b.png").unlink()
    with pytest.raises(DataError, match=r"masks.*'b'.*train\.txt"):
        build(make_segmentation).dataset("train")


def test_missing_list(make_segmentation, seg_root):
    (seg_root / "val.txt").unlink()
    with pytest.raises(DataError, match=r"val\.txt.*no such file"):
        build(make_segmentation).dataset("val")


def test_repeated_stem(make_segmentation, seg_root):
    (seg_root / "train.txt").write_text("a\nb\na\n")
    with pytest.raises(DataError, match=r"train\.txt.*'a' twice"):
        build(make_segmentation).dataset("train")


def test_two_images_of_one_stem(make_segmentation, seg_root):
    write_image(seg_root / "images/a.png", np.zeros((12, 16, 3), np.uint8))
    with pytest.raises(DataError, match=r"a\.jpg, a\.png"):
        build(make_segmentation).dataset("train")


def test_empty_list(make_segmentation, seg_root):
    (seg_root / "train.txt").write_text("\n")
    with pytest.raises(DataError, match="lists no images"):
        build(make_segmentation).dataset("train")


def test_mask_of_another_size(make_segmentation, seg_root):
    write_image(seg_root / "masks/a.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(DataError, match=r"a\.png.*8 x 6.*16 x 12"):
        build(make_segmentation).dataset("train")[0]


@pytest.mark.parametrize(("value", "dtype"), [(3, np.uint8), (254, np.uint8), (300, np.uint16)])
def test_label_out_of_range_names_file_value_and_classes(make_segmentation, seg_root, value, dtype):
    labels = np.zeros((12, 16), dtype)
    labels[5, 5] = value
    write_image(seg_root / "masks/a.png", labels)
    with pytest.raises(DataError, match=rf"a\.png.*label {value}, .*0 sky, 1 road, 2 tree, 255 unlabelled"):
        build(make_segmentation).dataset("train")[0]


def test_sixteen_bit_masks_and_another_ignore_index(make_segmentation, seg_root):
    labels = np.full((12, 16), 2, np.uint16)
    labels[0] = 99
    write_image(seg_root / "masks/a.png", labels)
    sample = build(make_segmentation, ignore_index=99).dataset("train")[0]
    assert sample.target.dtype == np.uint8
    assert set(np.unique(sample.target)) == {2, 99}


def test_missing_class_names_tell_both_ways_out(make_segmentation, seg_root):
    (seg_root / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"classes\.txt.*set class_names"):
        _ = build(make_segmentation).class_names


def test_repeated_class_names(make_segmentation, seg_root):
    (seg_root / "classes.txt").write_text("sky\nroad\nsky\n")
    with pytest.raises(DataError, match="repeat: sky"):
        _ = build(make_segmentation).class_names


def test_class_list_without_a_name_is_named(make_segmentation, seg_root):
    (seg_root / "classes.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"classes\.txt: names no class"):
        _ = build(make_segmentation).class_names


def test_broken_image_is_a_data_error(make_segmentation, seg_root):
    (seg_root / "images/a.jpg").write_bytes(b"not an image")
    with pytest.raises(DataError, match=re.escape("a.jpg")):
        build(make_segmentation).dataset("train")[0]


def test_batches_hold_uint8_labels(make_segmentation, seg_root):
    task = build(make_segmentation)
    samples = [task.augment(task.dataset("train")[i], np.random.default_rng(i)) for i in range(2)]
    batch = task.collate(samples)
    assert batch.images.shape == (2, 3, 32, 64)
    assert batch.targets.shape == (2, 32, 64)
    assert batch.targets.dtype == torch.uint8


def test_names_of_the_file_are_mapped(make_segmentation, seg_root):
    changes = {"tree": "road", "sky": None}
    plain, mapped = (build(make_segmentation, class_map=m).dataset("train")[0].target for m in ({}, changes))
    assert set(np.unique(plain)) == {0, 1, 2, 255}
    assert np.array_equal(mapped, np.where((plain == 1) | (plain == 2), 0, 255))
    assert build(make_segmentation, class_map=changes).class_names == ["road"]


def test_class_names_are_the_result_of_the_map(make_segmentation, seg_root):
    task = make_segmentation(class_names=["green", "sky", "road"], class_map={"tree": "green"})
    plain = build(make_segmentation).dataset("train")[1].target
    assert task.class_names == ["green", "sky", "road"]
    assert np.array_equal(task.dataset("train")[1].target, np.array([1, 2, 0] + [255] * 253)[plain])


def test_a_misspelt_old_name_is_suggested(make_segmentation, seg_root):
    with pytest.raises(ConfigError, match=r"tasks\.road\.options\.class_map: 'skye'.*did you mean 'sky'"):
        _ = build(make_segmentation, class_map={"skye": None}).class_names


def test_a_map_needs_the_names_of_the_file(make_segmentation, seg_root):
    (seg_root / "classes.txt").unlink()
    with pytest.raises(DataError, match=r"classes\.txt: no such file"):
        make_segmentation(class_map={"sky": None}).dataset("train")


def test_ignore_index_may_be_no_class(make_segmentation, seg_root):
    with pytest.raises(ConfigError, match=r"ignore_index: is 1, .*'road'"):
        _ = build(make_segmentation, ignore_index=1).class_names
    with pytest.raises(ConfigError, match=r"ignore_index: is 2, .*'tree'"):
        build(make_segmentation, ignore_index=2, class_map={"tree": "sky"}).dataset("train")
    (seg_root / "classes.txt").write_text("\n".join(f"c{i}" for i in range(256)))
    with pytest.raises(ConfigError, match=r"is 255, the id of the class 'c255' \(255 classes at most"):
        _ = build(make_segmentation).class_names
