"""The model: normalisation, binding, and heads that do not depend on one another."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toys import BrightOptions, BrightTask, TinyBackbone, TinyOptions

from umbel.contract.errors import ConfigError
from umbel.contract.task_config import TaskConfig
from umbel.contract.types import FeatureSpec, Size
from umbel.model.model import MultiTaskModel, build_model


def toy(name: str, size: Size = (16, 8)) -> BrightTask:
    return BrightTask(name, TaskConfig("bright", 2, size), BrightOptions())


def build(*names: str, seed: int = 0) -> MultiTaskModel:
    return build_model(TinyBackbone(TinyOptions()), {name: toy(name) for name in names}, seed)


def test_heads_first_weights_depend_on_seed_and_name_only() -> None:
    together, alone, other_order = build("a", "b"), build("b"), build("b", "c", "a")
    for model in (alone, other_order):
        assert torch.equal(model.heads["b"].linear.weight, together.heads["b"].linear.weight)
    assert not torch.equal(together.heads["a"].linear.weight, together.heads["b"].linear.weight)
    assert not torch.equal(build("a", seed=1).heads["a"].linear.weight, together.heads["a"].linear.weight)


def test_images_are_normalised_by_the_backbones_own_statistics() -> None:
    model = build("a")
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 8, 8)
    expected = ((torch.tensor([0, 51, 255]) / 255 - 0.5) / 0.25).view(1, 3, 1, 1).expand(2, 3, 8, 8)
    torch.testing.assert_close(model.normalise(images), expected)
    torch.testing.assert_close(model.normalise(images.float()), expected)
    pad_color = torch.tensor(model.pad_color).view(1, 3, 1, 1)
    torch.testing.assert_close(model.normalise(pad_color), torch.zeros(1, 3, 1, 1))
    assert "mean" not in model.state_dict()


def test_input_size_that_does_not_fit_the_strides_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        build_model(TinyBackbone(TinyOptions()), {"a": toy("a", (20, 48))}, 0)
    assert "tasks.a.input_size" in str(caught.value)
    assert "largest stride 8" in str(caught.value)
    assert "[16, 48]" in str(caught.value)


def test_head_that_finds_no_level_names_its_task() -> None:
    class Fine(BrightTask):
        def head(self, features: FeatureSpec) -> nn.Module:
            return nn.Identity() if features.level(4) else nn.Flatten()

    task = Fine("a", TaskConfig("bright", 2, (8, 8)), BrightOptions())
    with pytest.raises(ConfigError, match=r"tasks\.a: the head cannot be built: no feature level of stride 4"):
        build_model(TinyBackbone(TinyOptions()), {"a": task}, 0)


def test_backbone_hears_of_all_tasks_once() -> None:
    heard = []

    class Listening(TinyBackbone):
        def bind_tasks(self, names: tuple[str, ...]) -> None:
            heard.append(names)

    build_model(Listening(TinyOptions()), {"a": toy("a"), "b": toy("b")}, 0)
    assert heard == [("a", "b")]
