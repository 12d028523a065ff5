"""The contract on the pretended GPU: planted faults are found and named; a task without them passes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from good_task import Closeness, Shade, ShadeContract, ShadeHead
from torch import Tensor, nn
from torchmetrics import Metric

from umbel import FeatureSpec, Losses, View
from umbel.testing import ContractFault
from umbel.testing.check_gpu import check_deterministic, check_gpu
from umbel.testing.fixture import TaskFixture


class LooksAtLoss(Shade):
    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        losses = super().loss(output, targets)
        assert losses.total.item() >= 0
        return losses


class UploadsWeights(Shade):
    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        return super().loss(output * torch.tensor([1.0, 2.0], device=output.device)[0], targets)


class WeightsOfTheHost(Shade):
    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        return super().loss(output * torch.ones(1), targets)


class GridOfTheHost(ShadeHead):
    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        out = super().forward(features)
        return out + torch.zeros(out.shape[-1])


class HeadOfTheHost(Shade):
    def head(self, features: FeatureSpec) -> nn.Module:
        return GridOfTheHost(features.channels[0])


class LossOfTheHost(Shade):
    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        return super().loss(output.cpu(), targets.cpu())


class LooksAtRows(Shade):
    def decode(self, output: Tensor, view: View) -> list[Tensor]:
        assert [row.max().item() for row in output[0, 0]]
        return super().decode(output, view)


class DecodesWithNumpy(Shade):
    def decode(self, output: Tensor, view: View) -> list[Tensor]:
        return [torch.from_numpy(output.float()[0, 0].numpy().copy())]


class StaysOnTheGpu(Shade):
    def decode(self, output: Tensor, view: View) -> list[Tensor]:
        return [shade.to(output.device) for shade in super().decode(output, view)]


class MergesWithTheHost(StaysOnTheGpu):
    def merge(self, predictions: Iterable[Tensor]) -> Tensor:
        merged = super().merge(predictions)
        return merged + torch.zeros(merged.shape)


class CountsOnTheGpu(Closeness):
    def update(self, predictions: Any, targets: Any) -> None:
        for prediction, target in zip(predictions, targets, strict=True):
            self.error += (prediction - torch.from_numpy(target).to(prediction.device)).abs().mean().double()
            self.count += 1


class MeasuresOnTheGpu(StaysOnTheGpu):
    def metric(self) -> Metric:
        return CountsOnTheGpu()


def check(kind: type[Shade], folder: Path, **attributes: Any) -> None:
    check_gpu(TaskFixture(type("Contract", (ShadeContract,), {"task": kind, **attributes})(), folder))


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        (LooksAtLoss, r"a training step waits 2 times .* waits_of_a_step allows 1: .*item \(test_check_gpu.py:\d+\)"),
        (UploadsWeights, r"a training step waits 2 times .*tensor to the device \(test_check_gpu.py:\d+\)"),
        (
            WeightsOfTheHost,
            r"a training step fails: test_check_gpu.py:\d+: aten::mul .* with \(1,\) of the CPU",
        ),
        (HeadOfTheHost, r"a training step fails: test_check_gpu.py:\d+: aten::add"),
        (LossOfTheHost, r"loss\(\) gives a total on the CPU"),
        (LooksAtRows, r"a view of a prediction waits \d+ times .* waits_of_a_view allows 2: .* x item"),
        (DecodesWithNumpy, r"forward\(\), decode\(\) or restore\(\) fails: .*numpy\(\) of a tensor of the GPU"),
        (StaysOnTheGpu, r"merge\(\) or metric\(\)\.update\(\) fails: good_task.py:\d+: aten::sub"),
        (MergesWithTheHost, r"merge\(\) or metric\(\)\.update\(\) fails: .*aten::add"),
        (MeasuresOnTheGpu, r"merge\(\) or metric\(\)\.update\(\) fails: .*aten::add_"),
    ],
)
def test_fault_is_named(kind: type[Shade], fault: str, tmp_path: Path) -> None:
    with pytest.raises(ContractFault, match=f"^on a GPU {fault}"):
        check(kind, tmp_path)


def test_a_good_task_passes(tmp_path: Path) -> None:
    check(Shade, tmp_path)


def test_a_budget_of_its_own(tmp_path: Path) -> None:
    check(LooksAtLoss, tmp_path, waits_of_a_step=2)


class PoolsToThree(ShadeHead):
    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        pooled = torch.nn.functional.adaptive_avg_pool2d(features[0], 3).mean()
        return super().forward(features) + pooled


class HasNoKernel(Shade):
    def head(self, features: FeatureSpec) -> nn.Module:
        return PoolsToThree(features.channels[0])


class CountsWeights(Shade):
    def decode(self, output: Tensor, view: View) -> list[Tensor]:
        torch.bincount(torch.zeros_like(output[0, 0, 0], dtype=torch.long), weights=output[0, 0, 0].float())
        return super().decode(output, view)


@pytest.mark.parametrize(
    ("kind", "operator"), [(HasNoKernel, "adaptive_avg_pool2d_backward_cuda"), (CountsWeights, "_bincount_cuda")]
)
def test_an_operator_without_a_repeating_kernel_is_named(kind: type[Shade], operator: str, tmp_path: Path) -> None:
    fixture = TaskFixture(type("Contract", (ShadeContract,), {"task": kind})(), tmp_path)
    with pytest.raises(ContractFault, match=f"uses {operator}, which has no kernel .*: use another"):
        check_deterministic(fixture)
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_task_may_say_so(tmp_path: Path) -> None:
    contract = type("Contract", (ShadeContract,), {"task": HasNoKernel, "deterministic": False})()
    with pytest.raises(pytest.skip.Exception, match="deterministic is False"):
        contract.test_trains_with_deterministic_kernels(TaskFixture(contract, tmp_path))
