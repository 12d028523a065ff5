"""The built-in backbone keeps the contract, with and without batch normalisation."""

from __future__ import annotations

from umbel.backbones.timm import TimmBackbone
from umbel.testing import BackboneContract

SMALL = {"depths": [1, 1, 1, 1], "dims": [8, 12, 16, 20]}


class TestConvNeXt(BackboneContract):
    backbone = TimmBackbone
    options = {"model": "convnext_atto", "model_args": SMALL}


class TestConvNeXtWithBatchNormPerTask(BackboneContract):
    backbone = TimmBackbone
    options = {"model": "convnext_atto", "model_args": {**SMALL, "norm_layer": "batchnorm2d"}, "norm_stats": "per_task"}


class TestResNet(BackboneContract):
    backbone = TimmBackbone
    options = {"model": "test_resnet"}
