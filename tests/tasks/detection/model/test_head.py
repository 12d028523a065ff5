from __future__ import annotations

import math

import pytest
import torch

from umbel import ConfigError, FeatureSpec
from umbel.tasks.detection.model.decode import decode_maps
from umbel.tasks.detection.model.head import YOLOHead, add_prior, fold_anchors
from umbel.tasks.detection.model.neck import YOLOCSPPAN

SPEC = FeatureSpec((4, 8, 16, 32), (4, 8, 16, 32))


@pytest.mark.parametrize("eps", [1e-5, 1e-3])
def test_neck_equals_the_reference(golden, wave, close, eps):
    content = golden("yolocsppan.json")
    neck = YOLOCSPPAN([8, 16, 32], depth_mult=0.33).eval()
    for module in neck.modules():
        if isinstance(module, torch.nn.Conv2d):
            fan_in = module.weight[0].numel()
            module.weight.data = wave(tuple(module.weight.shape), 0.7, 0.3, 1.0) * (3 / math.sqrt(fan_in))
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.eps = eps
    features = [wave(tuple(shape), 0.13, 0.5 * i, 1.0) for i, shape in enumerate(content["in_shapes"])]
    for found, expected in zip(neck(features), content["out"][f"eps{eps:g}"], strict=True):
        close(found.detach(), expected)


def test_neck_parameter_counts(golden):
    widths = {"large": [384, 768, 1536], "base": [256, 512, 1024], "tiny": [192, 384, 768]}
    counts = golden("yolocsppan.json")["param_counts"]
    with torch.device("meta"):
        for name, channels in widths.items():
            for depth in (0.33, 0.67, 1.0):
                neck = YOLOCSPPAN(channels, depth)
                assert sum(p.numel() for p in neck.parameters()) == counts[f"convnext_{name}_depth{depth}"]


def test_decoding_equals_the_reference(golden, wave, anchors, close):
    content = golden("yolo_decode.json")
    maps = [
        fold_anchors(wave((content["bs"], 3 * (5 + content["nc"]), ny, nx), 0.37, 0.1 * level, 2.0))
        for level, (ny, nx) in enumerate(content["grids_ny_nx"])
    ]
    close(decode_maps(maps, anchors), content["out"])


def test_prior_equals_the_reference(golden):
    content = golden("yolo_bias_init.json")
    for stride, objectness in content["obj"].items():
        for classes, prior in content["cls"].items():
            predictor = torch.nn.Conv2d(4, 3 * (5 + int(classes)), 1)
            torch.nn.init.zeros_(predictor.bias)
            add_prior(predictor, int(stride), int(classes))
            fields = predictor.bias.detach().view(3, -1)
            assert fields[:, 4].tolist() == pytest.approx([objectness] * 3, rel=1e-5)
            assert fields[:, 5:].flatten().tolist() == pytest.approx([prior] * 3 * int(classes), rel=1e-5)
            assert fields[:, :4].abs().sum() == 0


@pytest.mark.parametrize("options", [{}, {"neck_channels": [4, 6, 8], "sppf": True}, {"depth_mult": 0.33}])
def test_head_gives_one_map_a_level_whatever_its_options(options):
    head = YOLOHead(SPEC, 5, **options)
    features = [torch.randn(2, c, 64 // s, 96 // s) for c, s in zip(SPEC.channels, SPEC.strides, strict=True)]
    maps = head(features)
    assert [tuple(x.shape) for x in maps] == [(2, 3, 8, 12, 10), (2, 3, 4, 6, 10), (2, 3, 2, 3, 10)]
    sum(x.sum() for x in maps).backward()
    assert all(p.grad is not None for p in head.parameters())


def test_head_sets_batch_norms_and_counts_detect_parameters():
    with torch.device("meta"):
        head = YOLOHead(FeatureSpec((192, 384, 768, 1536), (4, 8, 16, 32)), 45, bn_eps=1e-4, bn_momentum=0.1)
    norms = [m for m in head.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-4, 0.1)}
    assert sum(p.numel() for p in head.predictors.parameters()) == 403_650


def test_task_names_the_missing_stride(coco_folder, make_task):
    with pytest.raises(ConfigError, match=r"no feature level of stride 8.*tasks\.signs|tasks\.signs.*stride 8"):
        make_task(coco_folder()).head(FeatureSpec((8, 8), (16, 32)))
