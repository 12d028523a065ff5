"""Frozen batch normalisation folded into convolutions: the same function and the same gradients."""

from __future__ import annotations

import copy

import pytest
import timm
import torch
from torch import nn

from umbel.backbones.fold import FoldedConv2d, FoldedNorm, fold_frozen_norms
from umbel.backbones.norm import freeze_batch_norm
from umbel.backbones.options import TimmOptions
from umbel.backbones.timm import TimmBackbone


def shake(module: nn.Module) -> None:
    """Statistics and parameters that no fresh layer has: a fold that ignores one would show."""
    generator = torch.Generator().manual_seed(3)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor, low, high in (
                (layer.weight, 0.5, 1.5),
                (layer.bias, -0.3, 0.3),
                (layer.running_mean, -0.3, 0.3),
                (layer.running_var, 0.5, 2.0),
            ):
                tensor.data.uniform_(low, high, generator=generator)


def build(model: str) -> nn.Module:
    torch.manual_seed(0)
    module = timm.create_model(model, features_only=True)
    shake(module)
    return module


@pytest.mark.parametrize(
    "model", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050", "regnety_002", "densenet121"]
)
def test_folded_backbone_gives_the_same_levels_and_gradients(model):
    plain = build(model)
    folded = copy.deepcopy(plain)
    fold_frozen_norms(folded)
    assert any(isinstance(layer, FoldedConv2d) for layer in folded.modules())
    plain.double()
    folded.double()
    assert list(folded.state_dict()) == list(plain.state_dict())
    for module in (plain, folded):
        module.train()
        freeze_batch_norm(module)
        for layer in module.modules():  # dropout draws from the global generator
            if isinstance(layer, nn.Dropout):
                layer.eval()
    images = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    levels = [module(images) for module in (plain, folded)]
    for one, other in zip(*levels, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-9)
    for outputs in levels:
        sum(level.square().mean() for level in outputs).backward()
    for (name, one), (same, other) in zip(plain.named_parameters(), folded.named_parameters(), strict=True):
        assert name == same
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-7, atol=1e-9)


class Shared(nn.Module):
    """A convolution that something else than its normalisation reads too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        y = self.conv(x)
        return [self.norm(y) + y]


class Repeated(Shared):
    def forward(self, x):
        return [self.norm(self.conv(self.norm(self.conv(x))))]


class Returned(Shared):
    def forward(self, x):
        y = self.conv(x)
        return [y, self.norm(y)]


@pytest.mark.parametrize("module_class", [Shared, Repeated, Returned])
def test_a_convolution_with_other_readers_stays(module_class):
    module = module_class()
    fold_frozen_norms(module)
    assert type(module.conv) is nn.Conv2d
    assert type(module.norm) is nn.BatchNorm2d


def test_modes_survive_and_conv_bias_counts():
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=True), nn.BatchNorm2d(4), nn.Dropout(0.5))
    shake(module)
    module[2].eval()
    wrapper = nn.Module()
    wrapper.body = module
    wrapper.forward = lambda x: [module(x)]
    plain = copy.deepcopy(module).eval()
    fold_frozen_norms(wrapper)
    assert isinstance(module[1], FoldedNorm)
    assert module.training
    assert not module[2].training
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(module(images), plain(images))


def test_backbone_with_frozen_statistics_is_folded_and_keeps_its_names():
    torch.manual_seed(0)
    frozen = TimmBackbone(TimmOptions(model="resnet18", norm_stats="frozen"))
    torch.manual_seed(0)
    shared = TimmBackbone(TimmOptions(model="resnet18", norm_stats="shared"))
    assert frozen.summary() == "resnet18, batch statistics frozen"
    assert sum(isinstance(layer, FoldedConv2d) for layer in frozen.modules()) == 20
    missing, unexpected = shared.load_state_dict(frozen.state_dict(), strict=False)
    assert not missing
    assert all(name.endswith("num_batches_tracked") for name in unexpected)
    images = torch.randn(2, 3, 64, 64)
    for one, other in zip(frozen.train()(images, "a"), shared.eval()(images, "a"), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
