"""Loading weights: all of the backbone, or an error."""

from __future__ import annotations

import re
import socket
import time

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

import umbel
from umbel.backbones.options import TimmOptions
from umbel.backbones.timm import TimmBackbone


def build(model: str, weights: object, **settings) -> TimmBackbone:
    backbone = TimmBackbone(TimmOptions(model=model, weights=str(weights), **settings))
    backbone.load_pretrained()
    return backbone


def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))


def classifier(model: str, seed: int = 7) -> torch.nn.Module:
    torch.manual_seed(seed)
    net = timm.create_model(model, num_classes=10).eval()
    for name, value in net.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_()
    return net


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    "model",
    ["test_convnext", "convnextv2_atto", "resnet18", "tf_efficientnet_lite0", "regnety_002", "mobilenetv3_small_100"],
)
def test_classifier_weights_give_the_classifier_s_levels(model, suffix, tmp_path):
    net = classifier(model)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": {f"module.{name}": value for name, value in net.state_dict().items()}}, path)
    else:
        save_file(net.state_dict(), path)
    backbone = build(model, path, level_norm=False, out_strides=[8, 16, 32]).eval()
    with torch.no_grad():
        levels = backbone(images(), "a")
        expected = {tuple(level.shape): level for level in net.forward_intermediates(images(), intermediates_only=True)}
    for level in levels:
        torch.testing.assert_close(level, expected[tuple(level.shape)], rtol=1e-3, atol=1e-4)
    assert re.match(r"loaded (\d+) of \1 backbone tensors from .*; ignored \d+ \(", backbone.load_pretrained())


def test_original_convnext_names_load(tmp_path):
    net = classifier("convnext_atto", seed=2)
    original = {}
    for name, value in net.state_dict().items():
        name = re.sub(r"^stem\.", "downsample_layers.0.", name)
        name = re.sub(r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1.", name)
        name = re.sub(r"^stages\.(\d)\.blocks\.", r"stages.\1.", name)
        name = name.replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
        name = name.replace("head.norm", "norm").replace("head.fc.", "head.")
        if "pwconv" in name and name.endswith("weight"):
            value = value.flatten(1)  # linear layers there, 1 x 1 convolutions in timm's small variants
        original[name] = value
    assert "downsample_layers.3.1.weight" in original
    assert "stages.2.5.dwconv.weight" in original
    torch.save({"model": original}, tmp_path / "original.pth")
    backbone = build("convnext_atto", tmp_path / "original.pth", level_norm=False).eval()
    with torch.no_grad():
        expected = net.forward_intermediates(images(), intermediates_only=True)
        for level, other in zip(backbone(images(), "a"), expected, strict=True):
            torch.testing.assert_close(level, other)


def test_real_weights_fill_the_backbone(shared):
    path = shared / "weights" / "tf_efficientnet_lite0.safetensors"
    if not path.is_file():
        pytest.skip(f"no {path}")
    backbone = build("tf_efficientnet_lite0", path)
    assert backbone.mean == backbone.std == (0.5, 0.5, 0.5)
    report = backbone.load_pretrained()
    assert re.match(r"loaded (\d+) of \1 backbone tensors", report)
    assert "classifier" in report or "bn2" in report or "conv_head" in report
    assert backbone.summary() == "tf_efficientnet_lite0, batch statistics frozen"
    backbone.bind_tasks(("a", "b"))
    backbone.train()
    net = timm.create_model("tf_efficientnet_lite0").eval()
    net.load_state_dict(umbel.load_tensors(path), strict=True)
    with torch.no_grad():
        levels = backbone(images(), "a")
        expected = net.forward_intermediates(images(), intermediates_only=True)
        for level, other in zip(levels, expected[1:], strict=True):
            torch.testing.assert_close(level, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))
        logits = net.forward_head(net.bn2(net.conv_head(levels[-1])))
        torch.testing.assert_close(logits, net(images()), rtol=1e-3, atol=1e-4)


def test_weights_of_another_size_are_refused(tmp_path):
    save_file(classifier("resnet18").state_dict(), tmp_path / "r18.safetensors")
    with pytest.raises(umbel.CheckpointError) as caught:
        build("resnet34", tmp_path / "r18.safetensors")
    assert re.search(r"fits the backbone 'resnet34' only in part: \d+ missing \(layer1.2", str(caught.value))
    assert "are these weights of 'resnet34'?" in str(caught.value)


def test_a_missing_or_misshapen_tensor_is_refused(tmp_path):
    tensors = classifier("test_convnext").state_dict()
    del tensors["stages.2.blocks.0.norm.bias"]
    tensors["stem.0.weight"] = tensors["stem.0.weight"][:, :1].contiguous()
    save_file(tensors, tmp_path / "cut.safetensors")
    with pytest.raises(umbel.CheckpointError, match=r"1 missing \(stages_2.*1 of another shape \(stem_0.weight is"):
        build("test_convnext", tmp_path / "cut.safetensors")


def test_missing_running_statistics_are_refused(tmp_path):
    tensors = {name: value for name, value in classifier("resnet18").state_dict().items() if "running" not in name}
    save_file(tensors, tmp_path / "cut.safetensors")
    with pytest.raises(umbel.CheckpointError, match=r"bn1\.running_mean"):
        build("resnet18", tmp_path / "cut.safetensors")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(umbel.CheckpointError, match=r"absent\.safetensors: no such weight file"):
        build("resnet18", tmp_path / "absent.safetensors")


@pytest.mark.parametrize("weights", ["convnext_base.fb_in22k", "convnext_large.wrong", "pretrained"])
def test_a_tag_of_no_such_weights_lists_the_tags(weights):
    with pytest.raises(umbel.ConfigError, match=r"backbone.options.weights.*tags: .*convnext_large.fb_in22k"):
        build("convnext_large", weights)


def test_a_tag_without_a_network_fails_soon_and_says_what_to_do(monkeypatch, tmp_path):
    def refuse(*args: object, **settings: object) -> object:
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    start = time.monotonic()
    with pytest.raises(umbel.CheckpointError, match=r"test_convnext\.r160_in1k.* cannot be downloaded.*\.pth file"):
        build("test_convnext", "test_convnext.r160_in1k")
    assert time.monotonic() - start < 8


def run_checkpoint(folder, model: str, **settings) -> TimmBackbone:
    """What a run of umbel leaves: the backbone under its own names, a head, a balancer and the folders around them."""
    torch.manual_seed(5)
    backbone = TimmBackbone(TimmOptions(model=model, **settings))
    backbone.bind_tasks(("a", "b"))
    with torch.no_grad():
        for name, value in backbone.state_dict().items():
            if "running_mean_" in name:
                value.normal_()
    tensors = {f"backbone.{name}": value.clone() for name, value in backbone.state_dict().items()}
    checkpoint = folder / "checkpoints" / "step-00000004"
    checkpoint.mkdir(parents=True)
    extra = {"heads.a.weight": torch.zeros(2, 2), "balancer.mean_a": torch.zeros(1)}
    save_file({**tensors, **extra}, checkpoint / "model.safetensors")
    (folder / "checkpoints" / "latest").write_text("step-00000004")
    return backbone


@pytest.mark.parametrize("place", ["", "checkpoints/step-00000004", "checkpoints/step-00000004/model.safetensors"])
@pytest.mark.parametrize("model", ["test_convnext", "tf_efficientnet_lite0"])
def test_backbone_starts_from_a_run_of_umbel(tmp_path, model, place):
    trained = run_checkpoint(tmp_path / "run", model, norm_stats="per_task")
    backbone = build(model, tmp_path / "run" / place, norm_stats="shared")
    own = dict(trained.trunk.state_dict())
    for name, value in backbone.trunk.state_dict().items():
        kind = name.rpartition(".")[2]
        if kind in ("running_mean", "running_var"):
            value, expected = value, (own[f"{name}_a"] + own[f"{name}_b"]) / 2
        else:
            expected = own[name]
        torch.testing.assert_close(value, expected, rtol=0, atol=0, msg=name)


def test_averaged_weights_of_a_run_come_first(tmp_path):
    run_checkpoint(tmp_path / "run", "test_convnext")
    checkpoint = tmp_path / "run" / "checkpoints" / "step-00000004"
    averaged = {name: value + 1 for name, value in umbel.load_tensors(checkpoint / "model.safetensors").items()}
    save_file(averaged, checkpoint / "average.safetensors")
    backbone = build("test_convnext", tmp_path / "run")
    for name, value in backbone.trunk.state_dict().items():
        assert torch.equal(value, averaged[f"backbone.trunk.{name}"])


def test_run_of_another_backbone_is_refused(tmp_path):
    run_checkpoint(tmp_path / "run", "test_convnext")
    with pytest.raises(umbel.CheckpointError, match="fits the backbone 'resnet18' only in part"):
        build("resnet18", tmp_path / "run")


def test_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(umbel.CheckpointError, match="no such weight file"):
        build("test_convnext", tmp_path)
