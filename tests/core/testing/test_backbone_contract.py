"""The contract passes a good backbone, and names the fault of every broken one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from umbel.contract.types import FeatureSpec
from umbel.testing import BackboneContract, ContractFault
from umbel.testing.pyramid import Pyramid, PyramidOptions


class TestPyramid(BackboneContract):
    backbone = Pyramid


class WrongChannels(Pyramid):
    def __init__(self, options: PyramidOptions) -> None:
        super().__init__(options)
        self.spec = FeatureSpec((8, 12, 16, 99), self.spec.strides)


class MeanInPixels(Pyramid):
    def __init__(self, options: PyramidOptions) -> None:
        super().__init__(options)
        self.mean = (124.0, 116.0, 104.0)


class Spare(Pyramid):
    def __init__(self, options: PyramidOptions) -> None:
        super().__init__(options)
        self.classifier = nn.Linear(20, 1000)


class DropsInEvaluation(Pyramid):
    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        return tuple(torch.nn.functional.dropout(level, 0.5, training=True) for level in super().forward(images, task))


class LooksAtNeighbours(Pyramid):
    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        return super().forward(images - images.mean(0, keepdim=True), task)


class Unstaged(Pyramid):
    def stage_of_parameters(self) -> dict[str, int]:
        return {"stages.0.0.weight": 0}


@pytest.mark.parametrize(
    ("broken", "test", "fault"),
    [
        (WrongChannels, "levels_have_the_shapes_of_the_spec", r"spec promises .*\(2, 99, 2, 3\)"),
        (MeanInPixels, "declares_levels_mean_and_std", r"mean is \(124.0, 116.0, 104.0\); expected 3 values in 0..1"),
        (Spare, "gradient_reaches_every_parameter", "no gradient reaches classifier.weight, classifier.bias"),
        (DropsInEvaluation, "evaluation_repeats_itself", "evaluation mode"),
        (LooksAtNeighbours, "evaluation_looks_at_each_image_alone", "depend on its neighbours in the batch"),
        (Unstaged, "stages_name_every_parameter", "stage_of_parameters.* differ in stages"),
    ],
)
def test_a_broken_backbone_is_named(broken: type[Pyramid], test: str, fault: str) -> None:
    class Contract(BackboneContract):
        backbone = broken

    arguments = {"factor": 1} if test.startswith("levels") else {}
    with pytest.raises(ContractFault, match=fault):
        getattr(Contract(), f"test_{test}")(**arguments)
