"""The way back from the logits of views to one label map."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from umbel import TtaConfig, View
from umbel.tasks.segmentation.postprocess.merge import content_logits, original_logits, pool_views
from umbel.tasks.segmentation.views import make_views

GREY = (128, 128, 128)


def wave(shape: tuple[int, ...], a: float, b: float, s: float) -> torch.Tensor:
    n = np.arange(int(np.prod(shape)), dtype=np.float64)
    return torch.from_numpy((s * np.sin(a * n + b)).astype(np.float32).reshape(shape))


@pytest.mark.parametrize(("scales", "hflip"), [([1.0], False), ([1.0], True), ([1.0, 1.2, 1.6], True)])
def test_golden_average_of_views_from_the_original(golden, make_segmentation, scales, hflip):
    """The toy image is in -1..1, so the views are made here; sizes, decoding and merging are the task's."""
    numbers = golden("seg_tta.json")["cases"][f"{scales}_flip{int(hflip)}"]
    image = wave((1, 3, 10, 14), 0.41, 0.3, 1.0)
    weight = wave((4, 3, 3, 3), 0.7, 0.3, 0.8)
    tta = TtaConfig(scales=scales, hflip=hflip)
    task = make_segmentation({"tta": tta}, pad_multiple=1)
    restored = []
    for view in task.views((10, 14)):
        shown = F.interpolate(image, view.size, mode="bilinear", align_corners=False)
        shown = shown.flip(-1) if view.hflip else shown
        [logits] = task.decode(F.conv2d(shown, weight, padding=1), view)
        restored.append(task.restore(logits, view, (10, 14)))
    expected = np.array(numbers["sum_softmax_from_original"])
    scores = pool_views(restored) if len(restored) > 1 else restored[0].softmax(dim=0)
    found = scores.numpy().reshape(expected.shape)
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    labels = task.merge(restored).labels.numpy()
    assert (labels == np.array(numbers["pred_from_original"]).reshape(labels.shape)).all()


@settings(max_examples=25, deadline=None)
@given(
    st.integers(3, 40), st.integers(3, 40), st.sampled_from([1.0, 1.5, 2.0, 3.0]), st.booleans(), st.integers(0, 999)
)
def test_every_view_restores_to_the_same_frame(height, width, scale, hflip, seed):
    """With the image's own grey value as logits, each view must give back the image it was made from."""
    ramp = torch.linspace(0, 200, width)[None, :] + torch.linspace(0, 50, height)[:, None]
    image = ramp.expand(3, -1, -1).contiguous()
    view = make_views((height, width), TtaConfig(scales=[scale], hflip=hflip), 32)[-1]
    shown = view.apply(image, GREY)
    assert shown.shape[1:] == view.canvas
    restored = original_logits(content_logits(shown, view), view, (height, width))
    assert restored.shape == image.shape
    inner = (restored - image)[:, 1:-1, 1:-1]  # resizing replicates the border
    assert inner.abs().max() < 0.5
    assert (restored - image).abs().max() <= 0.3 * (200 / (width - 1) + 50 / (height - 1)) + 1e-2


def test_coarse_logits_are_enlarged_before_the_padding_is_cut(make_segmentation):
    task = make_segmentation()
    output = torch.randn(2, 3, 8, 16)
    view = View((20, 50), canvas=(32, 64))
    expected = F.interpolate(output, (32, 64), mode="bilinear", align_corners=False)[:, :, :20, :50]
    assert torch.allclose(torch.stack(task.decode(output.bfloat16().float(), view)), expected, atol=0.05)
    assert torch.equal(torch.stack(task.decode(output, view)), expected)
    assert task.decode(output.bfloat16(), view)[0].dtype == torch.float32


def test_one_view_and_its_copy_agree(make_segmentation):
    task = make_segmentation()
    logits = torch.randn(3, 9, 11)
    alone = task.merge([logits]).labels
    assert alone.dtype == torch.uint8
    assert torch.equal(alone, task.merge([logits, logits.clone()]).labels)
    assert torch.equal(alone, logits.argmax(0).to(torch.uint8))


def test_merge_averages_probabilities_not_logits(make_segmentation):
    """One very sure view must not outvote two that agree."""
    sure, other = torch.tensor([100.0, 0.0, 0.0]), torch.tensor([0.0, 3.0, 0.0])
    views = [value.view(3, 1, 1) for value in (sure, other, other)]
    assert make_segmentation().merge(views).labels.item() == 1


def test_merge_holds_no_view_while_the_next_is_computed(make_segmentation):
    """The first one is held: whether there is a second is not known before it is asked for."""
    made: list[weakref.ref[torch.Tensor]] = []

    def views() -> Iterator[torch.Tensor]:
        for index in range(4):
            assert sum(ref() is not None for ref in made[:1]) == (index == 1)
            assert not any(ref() is not None for ref in made[1:])
            logits = torch.full((3, 2, 2), float(index))
            made.append(weakref.ref(logits))
            yield logits
            del logits

    make_segmentation().merge(views())
    assert len(made) == 4


def test_merge_leaves_the_views_as_they_are(make_segmentation):
    views = [torch.randn(3, 4, 5) for _ in range(3)]
    before = [view.clone() for view in views]
    merged = make_segmentation().merge(iter(views))
    assert all(torch.equal(*pair) for pair in zip(views, before, strict=True))
    assert torch.equal(merged.labels, torch.stack(views).softmax(1).mean(0).argmax(0).to(torch.uint8))
