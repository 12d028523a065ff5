"""Test views, decoding and the average over views."""

from __future__ import annotations

import pytest
import torch

from umbel import TtaConfig, View
from umbel.tasks.classification.prediction import ClassScores


def test_scales_of_448_are_rounded_up_to_32(make_classification):
    task = make_classification({"input_size": (448, 448), "tta": TtaConfig(scales=[1.0, 1.2, 1.4], hflip=True)})
    views = task.views((100, 300))
    assert [view.size for view in views] == [(s, s) for s in (448, 448, 544, 544, 640, 640)]
    assert [view.hflip for view in views] == [False, True] * 3
    assert {view.interpolation for view in views} == {"bicubic"}
    assert all(view.canvas is None for view in views)  # squashed, never padded


def test_test_size_and_explicit_sizes(make_classification):
    assert make_classification(test_size=[96, 100]).views((10, 10))[0].size == (96, 128)
    sizes = {"tta": TtaConfig(sizes=[[64, 32]])}
    assert [view.size for view in make_classification(sizes).views((10, 10))] == [(64, 32)]


def test_decode_gives_float32_probabilities(make_classification):
    logits = torch.randn(3, 6).bfloat16().requires_grad_()
    scores = make_classification().decode(logits, View((64, 64)))
    assert len(scores) == 3
    for row, score in zip(logits.detach().float(), scores, strict=True):
        assert score.probabilities.dtype == torch.float32
        assert torch.allclose(score.probabilities, row.softmax(0))
        assert score.label == row.argmax().item()


@pytest.mark.parametrize("average", ["probabilities", "logits"])
def test_merge_averages_what_the_option_says(make_classification, average):
    task = make_classification(tta_average=average)
    logits = torch.randn(4, 6) * 3
    merged = task.merge(iter(task.decode(logits, View((64, 64))))).probabilities
    expected = logits.softmax(1).mean(0) if average == "probabilities" else logits.mean(0).softmax(0)
    assert torch.allclose(merged, expected, atol=1e-6)


def test_a_sure_view_outvotes_in_logits_only(make_classification):
    views = [torch.tensor([30.0, 0, 0, 0, 0, 0]), *[torch.tensor([0, 6.0, 0, 0, 0, 0])] * 2]
    scores = [ClassScores(view.softmax(0)) for view in views]
    assert make_classification().merge(scores).label == 1
    assert make_classification(tta_average="logits").merge(scores).label == 0


def test_single_view_is_kept(make_classification):
    score = ClassScores(torch.rand(6))
    assert make_classification().merge([score]) is score
