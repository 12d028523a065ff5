"""A task on the pretended GPU: no operator mixes devices, the host waits no more often than the contract says, and with
`train.deterministic` every operator has a kernel."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from umbel.config.schema import OptimConfig, TrainConfig
from umbel.contract.errors import ConfigError
from umbel.contract.task import Task
from umbel.contract.task_config import TtaConfig
from umbel.contract.types import Batch, Sample
from umbel.evaluate.evaluate import compute_scores
from umbel.evaluate.inference import image_tensor, show
from umbel.registry.calls.kernels import deterministic_task
from umbel.runtime.deterministic import deterministic_kernels
from umbel.runtime.local import LocalRuntime
from umbel.runtime.optim import build_optimizer
from umbel.testing.check_predictions import can_merge
from umbel.testing.fault import ContractFault, expect
from umbel.testing.fixture import NAME, TaskFixture
from umbel.testing.gpu import MixedDevicesError, NotOnHostError, PretendedGpu, Wait, pretended_gpu
from umbel.testing.gpu.device import waits_text

STEPS = 2  # the first may place constants and makes the optimizer's moments; the waits of the last are counted


def check_gpu(fixture: TaskFixture) -> None:
    """A training step, every view of a prediction, merging, scoring."""
    batch, samples = fixture.batch(), fixture.samples("val")
    with pretended_gpu() as gpu:
        task, runtime = _placed(fixture)
        _check_training(gpu, runtime, task, batch, fixture.contract.waits_of_a_step)
        with runtime.eval_mode():
            _check_prediction(gpu, runtime, task, samples, fixture.contract.waits_of_a_view)


def check_deterministic(fixture: TaskFixture) -> None:
    """With `train.deterministic` a GPU refuses no operator of a training step and of a prediction."""
    batch, samples = fixture.batch(), fixture.samples("val")
    with deterministic_kernels(True), pretended_gpu() as gpu:
        task, runtime = _placed(fixture)
        try:
            with deterministic_task(NAME):
                _check_training(gpu, runtime, task, batch, sys.maxsize)
                with runtime.eval_mode():
                    _check_prediction(gpu, runtime, task, samples, sys.maxsize)
        except ConfigError as error:
            raise ContractFault(f"{error.message}: use another, or set deterministic to False") from error


def _placed(fixture: TaskFixture) -> tuple[Task[Any], LocalRuntime]:
    """The task, with test-time augmentation if it has any, and a model of it on the pretended GPU."""
    task = fixture.new_task(tta=TtaConfig(scales=[1.0, 1.5], hflip=True) if can_merge(fixture) else None)
    torch.manual_seed(0)
    model = fixture.new_model(task).to("cuda")
    optim = OptimConfig()
    optimizer = build_optimizer(model, {NAME: task}, optim)
    return task, LocalRuntime(model, optimizer, optim=optim, train=TrainConfig(), precision="bf16", total_steps=STEPS)


def _check_training(gpu: PretendedGpu, runtime: LocalRuntime, task: Task[Any], batch: Batch, most: int) -> None:
    model = runtime.model.train()
    for _ in range(STEPS):
        with gpu.recorded() as waits, _faults_of("a training step"):
            placed = runtime.to_device(batch)
            total = task.loss(runtime.forward(placed.images, NAME), placed.targets).total
            expect(total.is_cuda, "on a GPU loss() gives a total on the CPU")
            runtime.backward(total)
            torch.stack([torch.isfinite(total.detach()).reshape(()), runtime.gradients_finite()]).tolist()  # the guard
            runtime.step()
    _check_waits("a training step", waits, "waits_of_a_step", most)
    left = [name for name, tensor in model.state_dict(keep_vars=True).items() if not gpu.holds(tensor)]
    expect(not left, f"a training step leaves {', '.join(left)} on the CPU")


def _check_prediction(
    gpu: PretendedGpu, runtime: LocalRuntime, task: Task[Any], samples: Sequence[Sample], most: int
) -> None:
    metric = task.metric()
    for sample in samples:
        image, restored = image_tensor(sample.image, runtime.device), []
        for view in task.views(sample.size):
            with gpu.recorded() as waits, _faults_of("forward(), decode() or restore()"):
                shown = show([image], view, runtime.model.pad_color)
                (decoded,) = task.decode(runtime.forward(shown, NAME), view)
                restored.append(task.restore(decoded, view, sample.size))
            _check_waits("a view of a prediction", waits, "waits_of_a_view", most)
        with _faults_of("merge() or metric().update()"):
            metric.update([task.merge(iter(restored))], [sample.target])
    with _faults_of("metric().compute()"):
        compute_scores(task, metric)


def _check_waits(what: str, waits: Sequence[Wait], budget: str, most: int) -> None:
    expect(
        len(waits) <= most,
        f"on a GPU {what} waits {len(waits)} times for the device, {budget} allows {most}: {waits_text(waits)}",
    )


@contextmanager
def _faults_of(what: str) -> Iterator[None]:
    try:
        yield
    except (MixedDevicesError, NotOnHostError) as error:
        raise ContractFault(f"on a GPU {what} fails: {error}") from error
