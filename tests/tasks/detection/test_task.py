from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from umbel import ConfigError, FeatureSpec, TtaConfig, keyed_generator
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.prediction import Detections

SPEC = FeatureSpec((4, 8, 16, 32), (4, 8, 16, 32))


def test_json_is_coco_with_the_files_category_ids(coco_folder, make_task):
    task = make_task(coco_folder([]))
    found = Detections(torch.tensor([[1.0, 2, 4, 8]]), torch.tensor([0.5]), torch.tensor([1]), (30, 40))
    result = task.to_json(found)
    assert result == [{"category_id": 12, "category": "stop", "bbox": [1.0, 2.0, 3.0, 6.0], "score": 0.5}]
    assert json.loads(json.dumps(result)) == result


def test_drawing_shows_confident_boxes_only_and_leaves_the_image(coco_folder, make_task):
    task = make_task(coco_folder([[5, 5, 10, 10]]))
    image = np.full((60, 80, 3), 128, np.uint8)
    boxes = torch.tensor([[20.0, 20, 60, 50], [2, 2, 9, 9]])
    shown = task.draw(image, Detections(boxes, torch.tensor([0.31, 0.29]), torch.tensor([0, 1]), (60, 80)))
    assert (image == 128).all()
    assert (shown[50, 25:55] != 128).any()
    assert (shown[2:9, 2:9] == 128).all()
    assert (task.draw(image, task.dataset("train")[0].target) != 128).any()


def test_one_training_step_and_one_evaluation_on_real_signs(shared, make_task):
    """Data, augmentation, head, loss, decoding, merging and metric fit together; the loss falls on one batch."""
    torch.manual_seed(0)
    task = make_task(shared / "data" / "det", size=(64, 64), tta=TtaConfig(hflip=True), neck_channels=[8, 8, 8])
    data = task.dataset("train")
    batch = task.collate([task.augment(data[i], keyed_generator("signs", i)) for i in range(4)])
    head = task.head(SPEC)
    features = [torch.randn(4, c, 64 // s, 64 // s) for c, s in zip(SPEC.channels, SPEC.strides, strict=True)]
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-2)
    totals = []
    for _ in range(15):
        losses = task.loss(head(features), batch.targets)
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
        totals.append(losses.total.item())
    assert totals[-1] < 0.7 * totals[0]
    head.eval()
    metric = task.metric()
    restored = []
    for view in task.views(data[0].size):
        found = task.decode(head([x[:1] for x in features]), view)
        restored.append(task.restore(found[0], view, data[0].size))
    merged = task.merge(restored)
    metric.update([merged], [data[0].target])
    assert 0.0 <= metric.compute()[task.main_metric].item() <= 1.0


def test_perfect_predictions_of_real_signs_score_one(shared, make_task):
    task = make_task(shared / "data" / "det")
    data = task.dataset("val")
    metric = task.metric()
    for i in range(6):
        target = data[i].target
        boxes = torch.from_numpy(target.boxes_N4)
        metric.update(
            [Detections(boxes, torch.ones(len(boxes)), torch.from_numpy(target.classes_N), data[i].size)], [target]
        )
    assert {key: value.item() for key, value in metric.compute().items()} == pytest.approx(
        {"map50": 1.0, "map50_95": 1.0}
    )


def test_input_size_must_suit_the_strides(make_task):
    with pytest.raises(ConfigError, match=r"tasks\.signs\.input_size: .*\[60, 64\].*use \[64, 64\]"):
        make_task(size=(60, 64))


@pytest.mark.parametrize(
    "bad",
    [
        {"merge": "avg"},
        {"crop_scale": [0.6, 0.3]},
        {"crop_scale": [0.5]},
        {"anchors": [[1.0, 2.0]]},
        {"neck_channels": [8, 8]},
        {"class_names": ["a", "a"]},
        {"test_size": [64]},
        {"category_ids": [1, 2], "class_names": ["a"]},
        {"category_ids": [1, 1], "class_names": ["a", "b"]},
        {"wbf_weights": [0.0]},
        {"conf": 2.0},
        {"hue": 0.6},
    ],
)
def test_wrong_options_are_named(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        DetectionOptions(root="x", **bad)


def test_options_load_from_a_recipe():
    schema = OmegaConf.structured(DetectionOptions)
    merged = OmegaConf.merge(schema, {"root": "x", "anchors": [[1, 2]] * 9, "neck_channels": [8, 8, 8]})
    options = OmegaConf.to_object(merged)
    assert (options.anchors[8], options.neck_channels, options.test_size) == ([1.0, 2.0], [8, 8, 8], None)


def test_the_plugin_is_cheap_to_import():
    heavy = "[name for name in ('torch', 'cv2') if name in sys.modules]"
    code = f"import sys, umbel.tasks.detection as d; print(d.umbel_tasks(), {heavy})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "{'detection': 'umbel.tasks.detection.task:Detection'} []"
