"""Memory that runs out in a part of training: the line names task, batch, input size and part, and the last checkpoint
stays whole. The errors are raised where torch raises them, inside operators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from trio_data import write_trio

from umbel.checkpoint.read import find_checkpoint
from umbel.config.load import load_recipe
from umbel.io.shortage import ShortageError
from umbel.registry.plugins import Plugins
from umbel.testing.gpu import pretended_gpu
from umbel.testing.gpu.operators import OperatorRules
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train

GPU_SAYS = (
    "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 79.10 GiB of which 1.20 GiB is "
    "free. Of the allocated memory 70.00 GiB is allocated by PyTorch, and 6.00 GiB is reserved by PyTorch but "
    "unallocated."
)


@contextmanager
def full(operator: str, when: Callable[[], bool]) -> Iterator[None]:
    """The pretended device is full for an operator while `when` says so."""
    plain = OperatorRules.__torch_dispatch__

    def dispatch(self: OperatorRules, func: Any, *given: Any, **named: Any) -> Any:
        if func._schema.name == operator and when():
            raise torch.OutOfMemoryError(GPU_SAYS)
        return plain(self, func, *given, **named)

    with patch.object(OperatorRules, "__torch_dispatch__", dispatch):
        yield


@contextmanager
def prepared(folder: Path, *overrides: str) -> Iterator[Run]:
    recipe = write_trio(folder)
    with pretended_gpu():
        settings = ("train.save_every=1", "train.precision=fp32", *overrides)
        yield prepare(load_recipe(str(recipe), settings, Plugins.discover()), folder / "run")


@pytest.mark.parametrize(
    ("operator", "where", "said"),
    [
        ("aten::convolution", "tasks.road", "the forward of 2 images of 64 x 64 pixels"),
        ("aten::convolution_backward", "tasks.road", "the backward of 2 images of 64 x 64 pixels"),
        ("aten::_fused_adamw_", "optim", "the optimizer's step over all weights"),
    ],
)
def test_a_gpu_that_is_full_in_the_third_step(tmp_path: Path, operator: str, where: str, said: str) -> None:
    with prepared(tmp_path) as run:
        third = full(operator, lambda: run.steps_done == 2 and run.model.training)
        with pytest.raises(ShortageError) as caught, third:
            train(run)
    error = caught.value
    assert (error.where, error.exit_code, error.kind) == (where, 1, "memory")
    assert "\n" not in str(error)
    assert f"the GPU's memory does not suffice for {said}: 2.50 GiB more were asked for" in error.message
    assert "it has 79.10 GiB, 1.20 GiB are free, 6.00 GiB are reserved and not allocated" in error.message
    assert "expandable_segments:True" in error.hint
    assert ("tasks.road.batch_size (2 now) and raise train.accumulate" in error.hint) == (where == "tasks.road")
    assert find_checkpoint(run.checkpoints).step == 2


def test_a_gpu_that_is_full_in_an_evaluation(tmp_path: Path) -> None:
    with prepared(tmp_path) as run:
        last = full("aten::convolution", lambda: run.steps_done == run.total_steps and not run.model.training)
        with pytest.raises(ShortageError, match="the evaluation of up to 2 images at once") as caught, last:
            train(run)
    assert caught.value.where == "tasks.road"
    assert "test-time augmentation" in caught.value.hint
    assert find_checkpoint(run.checkpoints).step == run.total_steps
