"""Every test view of every task, of random sizes, mirrored or not, leads back to the frame of the image it was made of.

A bright blob stands in the image; the view shows it somewhere; what the task restores must put it back where it was,
to half a pixel.

Legend: coordinates are continuous: the first pixel spans 0..1.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from umbel import Size, Task, TaskConfig, TtaConfig, View
from umbel.tasks.classification.options import ClassificationOptions
from umbel.tasks.classification.prediction import ClassScores
from umbel.tasks.classification.task import Classification
from umbel.tasks.detection.options import DetectionOptions
from umbel.tasks.detection.prediction import Detections
from umbel.tasks.detection.task import Detection
from umbel.tasks.segmentation.options import SegmentationOptions
from umbel.tasks.segmentation.task import Segmentation

FILL = (0.0, 0.0, 0.0)
NAMES = ["a", "b", "c"]
SIGMA = 3.0

scenes = st.tuples(st.integers(40, 120), st.integers(40, 120), st.floats(0.3, 0.7), st.floats(0.3, 0.7))
shapes = st.one_of(
    st.builds(lambda scale: {"scales": [scale]}, st.floats(0.6, 2.0)),
    st.builds(lambda height, width: {"sizes": [[height, width]]}, st.integers(33, 200), st.integers(33, 200)),
)


def blob(size: Size, centre: tuple[float, float]) -> Tensor:
    """(3, H, W) uint8 with a Gaussian blob at (y, x)."""
    y, x = ((torch.arange(side) + 0.5 - at).square() for side, at in zip(size, centre, strict=True))
    return (255 * torch.exp(-(y[:, None] + x[None, :]) / (2 * SIGMA**2))).round().to(torch.uint8).expand(3, -1, -1)


def centroid(brightness_HW: Tensor) -> tuple[float, float]:
    """The mean place (y, x), weighted by brightness; what is faint is left out."""
    weight = (brightness_HW.double() - 8).clamp(min=0)
    y = (weight.sum(1) * (torch.arange(weight.shape[0]) + 0.5)).sum() / weight.sum()
    x = (weight.sum(0) * (torch.arange(weight.shape[1]) + 0.5)).sum() / weight.sum()
    return float(y), float(x)


def task_of(kind: str, tta: TtaConfig, keep_ratio: bool = False) -> Task:
    config = TaskConfig(kind=kind, input_size=(96, 128), tta=tta)
    if kind == "segmentation":
        return Segmentation("t", config, SegmentationOptions(root="absent", class_names=NAMES))
    if kind == "classification":
        return Classification("t", config, ClassificationOptions(root="absent", class_names=NAMES))
    return Detection("t", config, DetectionOptions(root="absent", class_names=NAMES, keep_ratio=keep_ratio))


def scene(values: tuple[int, int, float, float]) -> tuple[Size, tuple[float, float], Tensor]:
    height, width, down, right = values
    centre = (height * down, width * right)
    return (height, width), centre, blob((height, width), centre)


def views_of(task: Task, size: Size) -> list[View]:
    views = task.views(size)
    assert [view.hflip for view in views] == [False, True]
    return views


@settings(max_examples=60, deadline=None)
@given(scenes, shapes)
def test_label_maps(values, shape):
    size, centre, image = scene(values)
    task = task_of("segmentation", TtaConfig(**shape, hflip=True))
    for view in views_of(task, size):
        [logits] = task.decode(view.apply(image, FILL)[None].float(), view)
        assert logits.shape[1:] == view.size
        restored = task.restore(logits, view, size)
        assert restored.shape[1:] == size
        assert centroid(restored[0]) == pytest.approx(centre, abs=0.5)


@settings(max_examples=60, deadline=None)
@given(scenes, shapes, st.booleans())
def test_boxes(values, shape, keep_ratio):
    """A box around the blob as the view shows it, of the blob's size there."""
    size, centre, image = scene(values)
    task = task_of("detection", TtaConfig(**shape, hflip=True), keep_ratio)
    for view in views_of(task, size):
        y, x = centroid(view.apply(image, FILL)[0])
        half_y, half_x = (6 * shown / side for shown, side in zip(view.size, size, strict=True))
        box = torch.tensor([[x - half_x, y - half_y, x + half_x, y + half_y]])
        found = Detections(box, torch.ones(1), torch.zeros(1).long(), view.canvas or view.size)
        restored = task.restore(found, view, size)
        expected = [centre[1] - 6, centre[0] - 6, centre[1] + 6, centre[0] + 6]
        assert restored.boxes_N4[0].tolist() == pytest.approx(expected, abs=0.5)
        assert restored.size == size


@settings(max_examples=60, deadline=None)
@given(scenes, shapes)
def test_classes(values, shape):
    """A class has no place: what must hold is that a view shows the whole image and nothing else."""
    size, centre, image = scene(values)
    task = task_of("classification", TtaConfig(**shape, hflip=True))
    for view in views_of(task, size):
        shown = view.apply(image, FILL)
        assert shown.shape[1:] == view.size
        y, x = centroid(shown[0])
        back = (y * size[0] / view.size[0], x * size[1] / view.size[1])
        expected = (centre[0], size[1] - centre[1] if view.hflip else centre[1])
        assert back == pytest.approx(expected, abs=0.5)
        scores = ClassScores(torch.rand(3))
        assert task.restore(scores, view, size) is scores


@settings(max_examples=30, deadline=None)
@given(scenes, shapes)
def test_merging_a_views_and_its_mirror_image_moves_nothing(values, shape):
    size, centre, image = scene(values)
    task = task_of("segmentation", TtaConfig(**shape, hflip=True))
    both = []
    for view in views_of(task, size):
        [logits] = task.decode(view.apply(image, FILL)[None].float(), view)
        logits[1] = 100.0  # class 1 wherever the blob is fainter
        both.append(task.restore(logits, view, size))
    where = (task.merge(iter(both)).labels != 1).float() * 255
    assert centroid(where) == pytest.approx(centre, abs=0.5)
