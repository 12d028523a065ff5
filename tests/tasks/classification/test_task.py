"""The task as a whole: it learns, draws, reports, and loads without heavy imports."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from umbel import FeatureSpec
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.prediction import ClassScores

SPEC = FeatureSpec((8,), (32,))


@pytest.mark.parametrize("rule", ["torch", "organisers"])
def test_the_head_learns(make_classification, rule):
    torch.manual_seed(0)
    task = make_classification(label_smoothing=0.1, smoothing_rule=rule)
    labels = torch.arange(6).repeat(2)
    means = torch.randn(6, 8, 1, 1) * 2
    features = (means[labels] + 0.3 * torch.randn(12, 8, 2, 2),)
    head = task.head(SPEC).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=2e-2)
    for _ in range(40):
        optimizer.zero_grad()
        task.loss(head(features), labels).total.backward()
        optimizer.step()
    [view] = task.views((50, 50))
    metric = task.metric()
    predictions = [task.merge([one]) for one in task.decode(head.eval()(features), view)]
    metric.update(predictions, labels.tolist())
    assert metric.compute()[task.main_metric] > 0.9


def test_json_lists_the_five_likeliest(make_classification):
    probabilities = torch.tensor([0.05, 0.4, 0.05, 0.3, 0.15, 0.05])
    result = make_classification().to_json(ClassScores(probabilities))
    assert (result["class_id"], result["class"]) == (1, "b")
    assert result["probability"] == pytest.approx(0.4)
    assert [entry["class"] for entry in result["top5"]] == ["b", "d", "e", "a", "c"]  # ties by id
    assert set(result) == {"class_id", "class", "probability", "top5"}


def test_drawing_marks_the_bottom_and_leaves_the_rest(make_classification):
    task = make_classification()
    image = np.full((120, 160, 3), 90, np.uint8)
    scores = ClassScores(torch.tensor([0.1, 0.5, 0.1, 0.1, 0.1, 0.1]))
    drawn = task.draw(image, scores)
    assert (image == 90).all()
    assert drawn.shape == image.shape
    assert np.array_equal(drawn[:90], image[:90])
    assert (drawn[-1, :80] == drawn[-1, 0]).all()  # half the bar is full
    assert not (drawn[-1, 80:] == drawn[-1, 0]).all(axis=1).any()
    assert not np.array_equal(task.draw(image, 1), image)


def test_with_class_names_nothing_asks_for_the_data(make_classification):
    task = make_classification(root="/nowhere", class_map={"anything": "a"})
    assert task.inferred_options() == {"class_names": list("abcdef")}
    head = task.head(SPEC).eval()
    [view] = task.views((40, 60))
    prediction = task.merge(iter(task.decode(head((torch.randn(1, 8, 2, 2),)), view)))
    assert task.draw(np.zeros((40, 60, 3), np.uint8), prediction).shape == (40, 60, 3)
    assert task.to_json(prediction)["class"] in "abcdef"
    task.metric().update([prediction], [0])


def test_inferred_options_make_the_same_task(make_classification, cls_root):
    changes = {"truck": "lorry"}
    first = make_classification(class_names=[], class_map=changes)
    again = make_classification(class_map=changes, **first.inferred_options())
    assert again.class_names == ["car", "lorry"]
    assert again.dataset("train").records == first.dataset("train").records


def test_the_plugin_module_imports_nothing_heavy():
    code = (
        "import sys, umbel.tasks.classification as plugin; print(plugin.umbel_tasks());"
        "assert not {'torch', 'cv2', 'albumentations'} & set(sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "umbel.tasks.classification.task:Classification" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"smoothing_rule": "paddle"}, "smoothing_rule is 'paddle'"),
        ({"tta_average": "votes"}, "tta_average is 'votes'"),
        ({"crop_scale": [0.5, 1.5]}, "crop_scale is"),
        ({"erase_area": [0.5, 0.1]}, "erase_area is"),
        ({"label_smoothing": 1.5}, "label_smoothing is 1.5"),
        ({"mid_channels": 0}, "mid_channels is 0"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ClassificationOptions(root="", **options)
