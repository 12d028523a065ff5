"""The way back of boxes from a test view to the original image."""

from __future__ import annotations

import pytest
import torch

from umbel import View
from umbel.tasks.detection.model.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from umbel.tasks.detection.postprocess.restore import to_original
from umbel.tasks.detection.prediction import Detections


def test_way_back_from_a_view_equals_the_reference(golden, close):
    content = golden("yolo_tta_descale.json")
    height, width = 256, 320
    boxes = cxcywh_to_xyxy(torch.tensor(content["pred"])[0, :, :4])
    for name, expected in content["out"].items():
        _, flip, _, scale = name.split("_")
        if flip != "2":  # up-down views do not exist here
            view = (height * float(scale), width * float(scale))
            found = to_original(boxes, view, flip == "3", (height, width))
            close(xyxy_to_cxcywh(found), torch.tensor(expected)[0, :, :4])


@pytest.mark.parametrize("hflip", [False, True])
def test_way_back_follows_the_pixels_of_the_view(hflip):
    """A bright rectangle keeps its borders through View.apply and back."""
    image = torch.zeros(3, 48, 80)
    image[:, 16:32, 8:24] = 255
    view = View((96, 240), hflip, (96, 256))
    shown = view.apply(image, (0, 0, 0))[0] > 127
    rows, columns = shown.any(1).nonzero(), shown.any(0).nonzero()
    seen = torch.tensor([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]).float()
    assert to_original(seen, view.size, hflip, (48, 80)).tolist() == [[8.0, 16.0, 24.0, 32.0]]


def test_restoring_clips_and_forgets_the_padding(make_task):
    task = make_task()
    boxes = torch.tensor([[10.0, 10, 30, 30], [0, 92, 60, 96], [100, 80, 140, 95]])
    found = Detections(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.arange(3), (96, 128))
    restored = task.restore(found, View((90, 120), False, (96, 128)), (180, 240))
    assert restored.boxes_N4.tolist() == [[20, 20, 60, 60], [200, 160, 240, 180]]
    assert (restored.classes_N.tolist(), restored.size) == ([0, 2], (180, 240))
