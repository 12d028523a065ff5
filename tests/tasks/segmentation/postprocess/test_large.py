"""Large label maps, made a strip at a time: the classes of those made at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from umbel import TtaConfig, View, round_up
from umbel.tasks.segmentation.postprocess import large, merge
from umbel.tasks.segmentation.postprocess.large import StripLogits, likeliest


def at_once(logits: torch.Tensor, view: View, size: tuple[int, int]) -> torch.Tensor:
    """The plain way: resize to the canvas, crop, un-flip, resize to the image."""
    canvas = F.interpolate(logits[None], size=view.canvas, mode="bilinear", align_corners=False)
    content = canvas[..., : view.size[0], : view.size[1]]
    content = content.flip(-1) if view.hflip else content
    return content[0] if size == view.size else F.interpolate(content, size, mode="bilinear", align_corners=False)[0]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(1, 90), st.integers(1, 90),
    st.booleans(), st.sampled_from([1, 4, 8]), st.integers(0, 999), st.integers(1, 40),
)  # fmt: skip
def test_any_strip_equals_its_rows(height, width, seen_height, seen_width, hflip, stride, seed, rows):
    generator = torch.Generator().manual_seed(seed)
    canvas = round_up((seen_height, seen_width), 32)
    view = View((seen_height, seen_width), hflip, canvas)
    logits = torch.randn(3, canvas[0] // stride, canvas[1] // stride, generator=generator)
    for size in ((height, width), view.size):
        expected = at_once(logits, view, size)
        strip = StripLogits(logits, view).restored(size)
        assert strip.shape == expected.shape
        bottom = min(rows, size[0])
        torch.testing.assert_close(strip.rows(bottom - 1, bottom), expected[:, bottom - 1 : bottom], atol=5e-5, rtol=0)
        torch.testing.assert_close(strip.whole(), expected, atol=5e-5, rtol=0)
        top_two = expected.topk(2, dim=0).values
        decided = (top_two[0] - top_two[1]) > 2e-4
        assert (likeliest([strip])[decided] == expected.max(dim=0).indices[decided]).all()


@pytest.fixture
def small_limits(monkeypatch):
    """Everything counts as large, and a strip has few rows."""
    monkeypatch.setattr(merge, "LARGE", 0)
    monkeypatch.setattr(large, "STRIP", 3 * 50 * 7)


@pytest.mark.parametrize(
    ("scales", "hflip", "test_size"),
    [([1.0], False, None), ([1.0, 1.2, 0.7], True, None), ([1.0], False, [32, 40]), ([1.0, 1.5], True, [32, 40])],
)
def test_the_tasks_label_map_is_the_same(make_segmentation, monkeypatch, request, scales, hflip, test_size):
    task = make_segmentation({"tta": TtaConfig(scales=scales, hflip=hflip)}, test_size=test_size)
    size, generator = (45, 50), torch.Generator().manual_seed(0)
    outputs = {view: 3 * torch.randn(1, 3, view.canvas[0] // 4, view.canvas[1] // 4, generator=generator)
               for view in task.views(size)}  # fmt: skip

    def labels():
        return task.merge(
            task.restore(task.decode(output, view)[0], view, size) for view, output in outputs.items()
        ).labels.numpy()

    expected = labels()
    request.getfixturevalue("small_limits")
    found = labels()
    assert found.dtype == np.uint8
    assert np.array_equal(found, expected)


def test_a_large_view_of_a_small_image_is_restored_to_a_tensor(make_segmentation, monkeypatch):
    monkeypatch.setattr(merge, "LARGE", 3 * 60 * 60)
    task = make_segmentation({"tta": TtaConfig(scales=[1.0, 2.0])})
    generator = torch.Generator().manual_seed(1)
    restored = []
    for view in task.views((40, 50)):
        [decoded] = task.decode(torch.randn(1, 3, view.canvas[0] // 4, view.canvas[1] // 4, generator=generator), view)
        restored.append(task.restore(decoded, view, (40, 50)))
    assert isinstance(decoded, StripLogits)
    assert [type(logits) for logits in restored] == [torch.Tensor, torch.Tensor]
    assert task.merge(restored).labels.shape == (40, 50)
