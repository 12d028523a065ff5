"""The task as a whole: it learns, draws, reports, and loads without heavy imports."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from umbel import FeatureSpec
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.prediction import LabelMap

SPEC = FeatureSpec((3, 3, 3, 3), (4, 8, 16, 32))


def pyramid(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Mean-pooled images as feature levels."""
    return tuple(torch.nn.functional.avg_pool2d(images, stride) for stride in SPEC.strides)


def test_the_head_learns_a_picture(make_segmentation):
    torch.manual_seed(0)
    task = make_segmentation(dropout=0.0)
    labels = torch.zeros(2, 64, 64, dtype=torch.uint8)
    labels[:, :, 32:] = 1
    labels[1, :32] = 2
    labels[0, :8] = 255
    images = torch.nn.functional.one_hot(labels.clamp(max=2).long(), 3).permute(0, 3, 1, 2).float() * 2 - 1
    head = task.head(SPEC).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        task.loss(head(pyramid(images)), labels).total.backward()
        optimizer.step()
    [view] = task.views((64, 64))
    with torch.no_grad():
        decoded = task.decode(head.eval()(pyramid(images)), view)
    metric = task.metric()
    metric.update([task.merge([task.restore(one, view, (64, 64))]) for one in decoded], list(labels.numpy()))
    scores = metric.compute()
    assert scores[task.main_metric] > 0.8
    assert set(scores) == {"miou", "miou_present", "pixel_accuracy"}


def test_drawing_tints_classes_and_darkens_the_rest(make_segmentation):
    task = make_segmentation()
    labels = np.zeros((60, 80), np.uint8)
    labels[30:] = 1
    labels[:, :20] = 255
    image = np.full((60, 80, 3), 100, np.uint8)
    of_target = task.draw(image, labels)
    of_prediction = task.draw(image, LabelMap(torch.from_numpy(labels)))
    assert np.array_equal(of_target, of_prediction)
    assert of_target.shape == image.shape
    assert of_target.dtype == np.uint8
    assert (image == 100).all()
    assert (of_target[5, 5] == 50).all()
    assert (of_target[29, 40] == 255).all()  # outline
    assert not np.array_equal(of_target[2, 78], of_target[57, 78])


def test_json_holds_size_and_shares(make_segmentation):
    labels = torch.zeros(4, 8, dtype=torch.uint8)
    labels[:1] = 2
    assert make_segmentation().to_json(LabelMap(labels)) == {"size": [4, 8], "pixel_share": {"sky": 0.75, "tree": 0.25}}


def test_with_class_names_nothing_asks_for_the_data(make_segmentation):
    task = make_segmentation(root="/nowhere", class_map={"anything": "sky"}, class_weights=[1.0, 2.0, 3.0])
    assert task.inferred_options() == {"class_names": ["sky", "road", "tree"]}
    head = task.head(SPEC).eval()
    [view] = task.views((40, 60))
    [decoded] = task.decode(head(pyramid(torch.zeros(1, 3, 64, 64))), view)
    prediction = task.merge(iter([task.restore(decoded, view, (40, 60))]))
    assert task.draw(np.zeros((40, 60, 3), np.uint8), prediction).shape == (40, 60, 3)
    assert task.to_json(prediction)["size"] == [40, 60]
    metric = task.metric()
    metric.update([prediction], [prediction.labels])
    assert metric.compute()["pixel_accuracy"] == 1


def test_inferred_options_make_the_same_task(make_segmentation, seg_root):
    changes = {"tree": "plant", "road": None}
    learnt = make_segmentation(class_names=[], class_map=changes).inferred_options()
    assert learnt == {"class_names": ["sky", "plant"]}
    again = make_segmentation(class_map=changes, **learnt)
    first = make_segmentation(class_names=[], class_map=changes)
    assert np.array_equal(again.dataset("val")[0].target, first.dataset("val")[0].target)


def test_the_plugin_module_imports_nothing_heavy():
    code = (
        "import sys, umbel.tasks.segmentation as plugin; print(plugin.umbel_tasks());"
        "assert not {'torch', 'cv2', 'albumentations'} & set(sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "umbel.tasks.segmentation.task:Segmentation" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "layer"}, "norm is 'layer'"),
        ({"ignore_index": 256}, "ignore_index is 256"),
        ({"scale": [2.0, 0.5]}, "scale is"),
        ({"blur_kernel": [3, 8]}, "must be odd"),
        ({"test_size": [0, 5]}, "test_size is"),
        ({"aux_weight": -1.0}, "aux_weight"),
        ({"hflip": 1.5}, "hflip is 1.5"),
        ({"class_names": ["a", "b", "a"]}, "class_names repeat: a"),
        ({"paint_order": "z"}, "paint_order is 'z'"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SegmentationOptions(root="", **options)
