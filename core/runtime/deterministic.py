"""Kernels that repeat to the bit: torch's mode, cuDNN's choice and the workspace of cuBLAS, for as long as a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import cudnn

from umbel.contract.errors import ConfigError

VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
WORKSPACES = (":4096:8", ":16:8")  # those with which cuBLAS promises the same bits


@contextmanager
def deterministic_kernels(wanted: bool) -> Iterator[None]:
    """Inside the block torch uses kernels that repeat to the bit, in the whole process, and raises where it has none.

    A block inside a block changes nothing; all settings are put back. torch reads the variable of cuBLAS once, when the
    process first multiplies matrices on a GPU, so the block must be entered before.

    Args:
        wanted: `train.deterministic`; False leaves all as it is.

    Raises:
        ConfigError: the environment asks cuBLAS for a workspace that does not repeat.
    """
    if not wanted:
        yield
        return
    given = os.environ.get(VARIABLE)
    if given is not None and given not in WORKSPACES:
        raise ConfigError(
            f"{VARIABLE} is {given!r} in the environment, with which cuBLAS does not repeat itself",
            where="train.deterministic",
            hint=f"unset it, or set it to {' or '.join(WORKSPACES)}",
        )
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    of_cudnn = cudnn.deterministic, cudnn.benchmark
    os.environ.setdefault(VARIABLE, WORKSPACES[0])
    torch.use_deterministic_algorithms(True)  # not warn_only: attention would keep a kernel that does not repeat
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = of_cudnn
        if given is None:
            os.environ.pop(VARIABLE, None)
