"""How a GPU multiplies and chooses its kernels: settings of the process, changed for the length of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch.backends import cuda, cudnn

from umbel.config.schema import TrainConfig

Value = TypeVar("Value")


@contextmanager
def numerics(train: TrainConfig, device: torch.device) -> Iterator[None]:
    """Inside the block the process computes as a run on `device` is to; afterwards as before. A CPU needs nothing."""
    if device.type != "cuda":
        yield
        return
    with _tf32(enabled=train.tf32), _benchmark(enabled=times_kernels(train)):
        yield


@contextmanager
def free_sizes() -> Iterator[None]:
    """Inside the block convolutions of any size run without cuDNN trying all its kernels on each."""
    with _benchmark(enabled=False):
        yield


def times_kernels(train: TrainConfig) -> bool:
    """Whether cuDNN chooses a convolution's kernel by trying them: the few fixed sizes of training repay it, but two
    runs may choose differently."""
    return not train.deterministic


@contextmanager
def _tf32(*, enabled: bool) -> Iterator[None]:
    """Products and convolutions of fp32 tensors by TF32 or by fp32, in both of torch's ways to say it, which agree."""
    by_operator = cuda.matmul, cudnn.conv, cudnn.rnn, torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = [operator.fp32_precision for operator in by_operator]
    matmul = _unless_mixed(torch.get_float32_matmul_precision, "highest")
    convolution = _unless_mixed(lambda: cudnn.allow_tf32, True)
    torch.set_float32_matmul_precision("high" if enabled else "highest")
    cudnn.allow_tf32 = enabled
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        cudnn.allow_tf32 = convolution
        for operator, precision in zip(by_operator, before, strict=True):
            operator.fp32_precision = precision


def _unless_mixed(read: Callable[[], Value], default: Value) -> Value:
    """A setting in torch's older way, which it refuses to tell where the newer way has been used: torch's default."""
    try:
        return read()
    except RuntimeError:
        return default


@contextmanager
def _benchmark(*, enabled: bool) -> Iterator[None]:
    before = cudnn.benchmark
    cudnn.benchmark = enabled
    try:
        yield
    finally:
        cudnn.benchmark = before
