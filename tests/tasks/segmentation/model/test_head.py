"""When the auxiliary head runs, and training on a single image."""

from __future__ import annotations

import pytest
import torch

from umbel import ConfigError, FeatureSpec
from umbel.tasks.segmentation.model.blocks import BatchNorm

SPEC = FeatureSpec((4, 6, 8, 10), (4, 8, 16, 32))


def features(batch: int = 1, height: int = 64, width: int = 96):
    return tuple(
        torch.randn(batch, channels, height // stride, width // stride)
        for channels, stride in zip(SPEC.channels, SPEC.strides, strict=True)
    )


def test_auxiliary_logits_come_only_while_training(make_segmentation):
    head = make_segmentation().head(SPEC)
    main, aux = head.train()(features(2))
    assert main.shape == (2, 3, 16, 24)
    assert aux.shape == (2, 3, 4, 6)
    assert head.eval()(features(2)).shape == (2, 3, 16, 24)


def test_no_auxiliary_head_is_built_at_weight_zero(make_segmentation):
    head = make_segmentation(aux_weight=0.0).head(SPEC)
    assert not any(name.startswith("aux") for name, _ in head.named_parameters())
    assert head.train()(features()).shape == (1, 3, 16, 24)


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("batch", [1, 2])
def test_every_parameter_trains_at_any_batch_size(make_segmentation, norm, batch):
    task = make_segmentation({"batch_size": batch}, norm=norm)
    head = task.head(SPEC).train()
    labels = torch.randint(0, 3, (batch, 64, 96), dtype=torch.uint8)
    task.loss(head(features(batch)), labels).total.backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_single_value_is_normalised_by_running_statistics_and_leaves_them():
    norm = BatchNorm(3).train()
    norm.running_mean.fill_(2.0)
    norm.running_var.fill_(4.0)
    x = torch.tensor([4.0, 2.0, 0.0]).view(1, 3, 1, 1)
    expected = (x - 2) / (4 + norm.eps) ** 0.5
    assert torch.allclose(norm(x), expected)
    assert norm.running_mean.tolist() == [2.0, 2.0, 2.0]


def test_batch_norm_is_torchs_where_there_are_statistics():
    ours, theirs = BatchNorm(3).train(), torch.nn.BatchNorm2d(3).train()
    x = torch.randn(2, 3, 1, 1)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_var, theirs.running_var)


def test_missing_stride_is_named(make_segmentation):
    with pytest.raises(ConfigError, match=r"stride 16.*\[4, 8\]"):
        make_segmentation().head(FeatureSpec((4, 6), (4, 8)))


def test_wrong_number_of_class_weights_is_said_before_training(make_segmentation):
    with pytest.raises(ConfigError, match="2 values for 3 classes"):
        make_segmentation(class_weights=[1.0, 2.0]).head(SPEC)
