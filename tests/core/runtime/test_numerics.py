"""Settings of the process that a run changes, and puts back."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.backends import cuda, cudnn

from umbel.config.schema import TrainConfig
from umbel.runtime.numerics import free_sizes, numerics

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def settings() -> list[Any]:
    return [
        torch.get_float32_matmul_precision(),
        cuda.matmul.allow_tf32,
        cudnn.allow_tf32,
        cudnn.benchmark,
        *by_operator(),
    ]


def by_operator() -> list[str]:
    operators = cuda.matmul, cudnn.conv, cudnn.rnn, torch.backends.mkldnn.matmul
    return [operator.fp32_precision for operator in operators]


@pytest.mark.parametrize("enabled", [False, True])
def test_tf32_is_what_the_recipe_says_of_products_and_convolutions(enabled: bool) -> None:
    before = settings()
    with numerics(TrainConfig(tf32=enabled), CUDA):
        assert (cuda.matmul.allow_tf32, cudnn.allow_tf32) == (enabled, enabled)
        assert torch.get_float32_matmul_precision() == ("high" if enabled else "highest")
    assert settings() == before


def test_a_cpu_is_left_alone() -> None:
    before = settings()
    with numerics(TrainConfig(tf32=True), CPU):
        assert settings() == before


def test_what_was_set_before_is_put_back_after_an_error() -> None:
    before = settings()
    cudnn.conv.fp32_precision = cuda.matmul.fp32_precision = "ieee"
    try:
        mine = by_operator()
        with pytest.raises(KeyError):
            fail_inside()
        assert by_operator() == mine
    finally:
        cudnn.conv.fp32_precision, cuda.matmul.fp32_precision = before[5], before[4]
    assert settings() == before


def fail_inside() -> None:
    with numerics(TrainConfig(tf32=True), CUDA):
        assert cudnn.allow_tf32
        raise KeyError


def test_kernels_are_tried_in_training_and_not_on_free_sizes() -> None:
    assert not cudnn.benchmark
    with numerics(TrainConfig(), CUDA):
        assert cudnn.benchmark
        with free_sizes():
            assert not cudnn.benchmark
        assert cudnn.benchmark
    assert not cudnn.benchmark


def test_kernels_that_must_repeat_are_not_chosen_by_a_clock() -> None:
    with numerics(TrainConfig(deterministic=True), CUDA):
        assert not cudnn.benchmark
