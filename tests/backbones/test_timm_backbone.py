"""The timm backbone: levels, counts, drop path, errors, checkpointing."""

from __future__ import annotations

import copy

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

import umbel
import umbel.backbones
from umbel.backbones.options import TimmOptions
from umbel.backbones.timm import TimmBackbone
from umbel.contract.options import option_docs


def build(model: str, seed: int = 0, **settings) -> TimmBackbone:
    torch.manual_seed(seed)
    return TimmBackbone(TimmOptions(model=model, **settings))


def images(*, seed: int = 1, size: tuple[int, int] = (64, 96)) -> Tensor:
    return torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(seed))


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("model", ["convnext_tiny", "convnext_base", "convnext_large"])
def test_convnext_counts_equal_golden(golden, model):
    facts = golden("convnext.json")["models"][model]
    with torch.device("meta"):
        backbone = build(model)
    assert backbone.spec.channels == tuple(facts["channels"])
    assert backbone.spec.strides == tuple(facts["reduction"])
    assert parameters(backbone.trunk) == facts["params_features_only"]
    assert parameters(backbone.level_norms) == 2 * sum(facts["channels"])


def test_drop_path_of_convnext_large_equals_golden(golden):
    with torch.device("meta"):
        backbone = build("convnext_large", drop_path=0.4)
    rates = [
        getattr(block.drop_path, "drop_prob", 0.0) for block in backbone.trunk.modules() if hasattr(block, "drop_path")
    ]
    assert rates == pytest.approx(golden("convnext.json")["drop_path_large_04"], abs=1e-7)


@pytest.mark.parametrize(
    "model", ["test_convnext", "tf_efficientnet_lite0", "resnet18", "swin_tiny_patch4_window7_224", "mambaout_femto"]
)
def test_levels_have_the_shapes_of_the_spec(model):
    backbone = build(model).eval()
    with torch.no_grad():
        levels = backbone(images(), "road")
    assert backbone.spec.strides == (4, 8, 16, 32)
    for level, channels, stride in zip(levels, backbone.spec.channels, backbone.spec.strides, strict=True):
        assert level.shape == (2, channels, 64 // stride, 96 // stride)


def test_strides_choose_levels():
    whole = build("resnet18").eval()
    part = build("resnet18", out_strides=[32, 8]).eval()
    assert part.spec == umbel.FeatureSpec((128, 512), (8, 32))
    with torch.no_grad():
        for level, other in zip(part(images(), "a"), [whole(images(), "a")[i] for i in (1, 3)], strict=True):
            torch.testing.assert_close(level, other)


def test_level_norm_is_on_exactly_where_stages_end_unnormalised():
    convnext = build("test_convnext").eval()
    level = convnext(images(), "a")[2]
    torch.testing.assert_close(level.mean(1), torch.zeros_like(level.mean(1)), atol=1e-5, rtol=0)
    raw = build("test_convnext", level_norm=False).eval()
    expected = nn.functional.layer_norm(raw(images(), "a")[2].permute(0, 2, 3, 1), (48,), eps=1e-6).permute(0, 3, 1, 2)
    torch.testing.assert_close(level, expected)
    assert parameters(build("resnet18").level_norms) == 0
    assert parameters(build("resnet18", level_norm=True).level_norms) == 2 * sum((64, 128, 256, 512))


def test_mean_and_std_come_from_timm_unless_given():
    assert build("tf_efficientnet_lite0").mean == (0.5, 0.5, 0.5)
    assert build("convnext_atto").mean == pytest.approx((0.485, 0.456, 0.406))
    assert build("test_convnext", mean=[0.1, 0.2, 0.3], std=[1.0, 1.0, 1.0]).mean == (0.1, 0.2, 0.3)


@pytest.mark.parametrize("model", ["test_convnext", "resnet18", "tf_efficientnet_lite0"])
def test_checkpointing_changes_neither_gradients_nor_statistics(model):
    plain = build(model, drop_path=0.3)
    recomputed = build(model, drop_path=0.3, grad_checkpointing=True)
    for backbone in (plain, recomputed):
        backbone.bind_tasks(("a", "b"))
        backbone.train()
        torch.manual_seed(5)
        sum(level.square().mean() for level in backbone(images(), "a")).backward()
    for (name, one), other in zip(plain.named_parameters(), recomputed.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, msg=name)
    for (name, one), other in zip(plain.named_buffers(), recomputed.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_checkpointing_saves_fewer_activations():
    def saved(**settings) -> int:
        backbone = build("test_convnext", **settings).train()
        total = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal total
            total += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            backbone(images(), "a")
        return total

    assert saved(grad_checkpointing=True) < 0.7 * saved()


def test_freeze_keeps_the_backbone_and_trains_the_level_norms():
    backbone = build("test_convnext", freeze=True, drop_path=0.5).train()
    before = copy.deepcopy(backbone.trunk.state_dict())
    levels = backbone(images(), "a")
    torch.testing.assert_close(levels[3], backbone(images(), "a")[3])
    sum(level.square().mean() for level in levels).backward()
    assert all(parameter.grad is None for parameter in backbone.trunk.parameters())
    assert all(parameter.grad is not None for parameter in backbone.level_norms.parameters())
    assert all(torch.equal(value, before[name]) for name, value in backbone.trunk.state_dict().items())


@pytest.mark.parametrize("autocast", [False, True])
def test_channels_last_and_bfloat16_follow_the_plain_pass(autocast):
    plain = build("resnet18").eval()
    fast = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        levels = fast(images().to(memory_format=torch.channels_last), "a")
    with torch.no_grad():
        for level, expected in zip(levels, plain(images(), "a"), strict=True):
            torch.testing.assert_close(level.float(), expected, atol=0.1 if autocast else 1e-4, rtol=0.05)


def test_unknown_model_proposes_names():
    with pytest.raises(
        umbel.ConfigError, match=r"backbone.options.model: .*convnext_lage.*did you mean .*convnext_large"
    ):
        build("convnext_lage")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"model": "vgg11", "drop_path": 0.1}, "has no stochastic depth"),
        ({"model": "vit_tiny_patch16_224"}, "one fixed size only|cannot"),
        ({"model": "inception_v3"}, "level of .* at stride"),
        ({"model": "resnet18", "out_strides": [64]}, r"no level of stride 64 .*\[2, 4, 8, 16, 32\]"),
        ({"model": "convnext_large.no_such_tag"}, "no_such_tag.*fb_in22k"),
        ({"model": "hf-hub:someone/model"}, "no model 'hf-hub:"),
    ],
)
def test_models_that_cannot_serve_are_refused_in_words(settings, text):
    with pytest.raises(umbel.ConfigError, match=text):
        build(**settings)


@pytest.mark.parametrize(
    "settings",
    [{"drop_path": 1.5}, {"norm_stats": "both"}, {"mean": [0.5]}, {"std": [0.0, 1.0, 1.0]}, {"out_strides": [0]}],
)
def test_options_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        TimmOptions(model="resnet18", **settings)


def test_options_survive_omegaconf():
    tree = OmegaConf.merge(OmegaConf.structured(TimmOptions), {"model": "resnet18", "mean": [0.1, 0.2, 0.3]})
    options = OmegaConf.to_object(tree)
    assert isinstance(options, TimmOptions)
    assert options.mean == [0.1, 0.2, 0.3]
    assert all(option_docs(TimmOptions).values())


def test_hook_offers_the_class():
    assert umbel.backbones.umbel_backbones() == {"timm": "umbel.backbones.timm:TimmBackbone"}
    assert issubclass(TimmBackbone, umbel.Backbone)
