"""Batch statistics of a backbone that several tasks share."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

import umbel
from umbel.backbones.norm import Selection, TaskBatchNorm2d, convert_batch_norms
from umbel.backbones.options import TimmOptions
from umbel.backbones.timm import TimmBackbone


def build(model: str = "resnet18", **settings) -> TimmBackbone:
    torch.manual_seed(0)
    return TimmBackbone(TimmOptions(model=model, **settings))


def images(shift: float = 0.0, seed: int = 1) -> Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) + shift


def statistics(backbone: TimmBackbone, suffix: str) -> list[Tensor]:
    return [value.clone() for name, value in backbone.named_buffers() if name.endswith(suffix)]


def moved(before: list[Tensor], after: list[Tensor]) -> bool:
    assert before
    return any(not torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("make", [lambda: nn.BatchNorm2d(5), lambda: BatchNormAct2d(5, act_layer=nn.SiLU)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_layer_equals_the_one_it_replaces(make, memory_format):
    original = nn.Sequential(make())
    with torch.no_grad():
        original[0].weight.uniform_(0.5, 2)
        original[0].bias.uniform_(-1, 1)
    selection = Selection()
    replaced = copy.deepcopy(original)
    convert_batch_norms(replaced, selection)
    assert isinstance(replaced[0], TaskBatchNorm2d)
    for step in range(3):
        x = (torch.randn(4, 5, 6, 7) * (step + 1)).to(memory_format=memory_format)
        selection.task = "any"
        torch.testing.assert_close(replaced(x), original(x))
    original.eval()
    replaced.eval()
    torch.testing.assert_close(replaced(x), original(x))
    torch.testing.assert_close(replaced[0].running_var, original[0].running_var)


def test_conversion_leaves_layers_without_a_running_average():
    module = nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm2d(3, momentum=None))
    convert_batch_norms(module, Selection())
    assert [type(layer) for layer in module] == [nn.BatchNorm2d, nn.BatchNorm2d]


@pytest.mark.parametrize("model", ["resnet18", "tf_efficientnet_lite0", "regnety_002"])
def test_only_the_running_task_s_statistics_move(model):
    backbone = build(model)
    backbone.bind_tasks(("road", "cars"))
    backbone.train()
    road, cars, common = (statistics(backbone, end) for end in ("_road", "_cars", "running_mean"))
    backbone(images(), "road")
    assert moved(road, statistics(backbone, "_road"))
    assert not moved(cars, statistics(backbone, "_cars"))
    assert not moved(common, statistics(backbone, "running_mean"))
    assert "per task" in backbone.summary()


def test_per_task_equals_a_backbone_that_saw_this_task_alone():
    both, alone = build(), build(norm_stats="shared")
    both.bind_tasks(("a", "b"))
    alone.bind_tasks(("a",))
    both.train()
    alone.train()
    for step in range(3):
        both(images(seed=step), "a")
        both(images(3.0, seed=step), "b")
        alone(images(seed=step), "any name")
    both.eval()
    alone.eval()
    for level, expected in zip(both(images(seed=9), "a"), alone(images(seed=9), "a"), strict=True):
        torch.testing.assert_close(level, expected)
    assert (both(images(seed=9), "b")[3] - both(images(seed=9), "a")[3]).abs().max() > 1e-2


def test_a_task_without_statistics_is_refused():
    backbone = build()
    backbone.bind_tasks(("a", "b"))
    with pytest.raises(umbel.ConfigError, match=r"task 'c'.*bound to a, b"):
        backbone(images(), "c")
    assert backbone._selection.task is None


@pytest.mark.parametrize(("names", "policy"), [(("a",), "shared"), (("a", "b"), "per task")])
def test_default_from_scratch_depends_on_the_number_of_tasks(names, policy):
    backbone = build()
    backbone.bind_tasks(names)
    assert policy in backbone.summary()


def test_frozen_statistics_stay_through_training():
    backbone = build(norm_stats="frozen")
    backbone.bind_tasks(("a", "b"))
    head = nn.ModuleList([backbone])
    head.train()
    before = [value.clone() for value in backbone.buffers()]
    levels = backbone(images(), "a")
    sum(level.square().mean() for level in levels).backward()
    assert not moved(before, list(backbone.buffers()))
    assert all(not layer.training for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d))
    assert backbone.trunk.training
    assert backbone.trunk.bn1.weight.grad.abs().sum() > 0


def test_state_dict_round_trip_with_per_task_statistics():
    one, other = build(), build()
    for backbone in (one, other):
        backbone.bind_tasks(("a", "b"))
    one.train()
    one(images(), "a")
    one(images(2.0), "b")
    other.load_state_dict(one.state_dict(), strict=True)
    one.eval()
    other.eval()
    for task in ("a", "b"):
        for level, expected in zip(other(images(seed=4), task), one(images(seed=4), task), strict=True):
            assert torch.equal(level, expected)


def test_a_copy_selects_for_itself():
    backbone = build()
    backbone.bind_tasks(("a", "b"))
    twin = copy.deepcopy(backbone).train()
    before = statistics(backbone, "_a")
    twin(images(), "a")
    assert not moved(before, statistics(backbone, "_a"))
    assert moved(before, statistics(twin, "_a"))


def test_binding_again_keeps_statistics():
    backbone = build()
    backbone.bind_tasks(("a", "b"))
    backbone.train()
    backbone(images(), "a")
    before = statistics(backbone, "_a")
    backbone.bind_tasks(("a", "b"))
    assert not moved(before, statistics(backbone, "_a"))


def test_per_task_runs_under_channels_last_and_autocast():
    backbone = build("tf_efficientnet_lite0").to(memory_format=torch.channels_last)
    backbone.bind_tasks(("a", "b"))
    backbone.train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        levels = backbone(images().to(memory_format=torch.channels_last), "b")
    sum(level.float().square().mean() for level in levels).backward()
    assert all(value.dtype == torch.float32 for value in statistics(backbone, "_b"))
    assert all(value.isfinite().all() for value in backbone.state_dict().values())


def test_evaluation_does_not_depend_on_the_batch():
    backbone = build()
    backbone.bind_tasks(("a", "b"))
    backbone.train()
    backbone(images(), "a")
    backbone.eval()
    with torch.no_grad():
        together = backbone(images(), "a")[3]
        single = backbone(images()[:1], "a")[3]
    torch.testing.assert_close(together[:1], single)


def test_backbone_without_batch_norm_ignores_the_policy():
    backbone = build("test_convnext", norm_stats="per_task")
    names = set(backbone.state_dict())
    backbone.bind_tasks(("a", "b"))
    assert set(backbone.state_dict()) == names
    assert "statistics" not in backbone.summary()
