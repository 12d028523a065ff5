"""The pytest class that a backbone's tests subclass."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from omegaconf import OmegaConf
from torch import Tensor

from umbel.contract.backbone import Backbone
from umbel.contract.types import FeatureSpec, Size
from umbel.testing.check_data import check_options
from umbel.testing.fault import ContractFault, expect
from umbel.testing.isolation import global_randomness_untouched
from umbel.testing.runner import pytest
from umbel.testing.same import difference

TASKS = ("first", "second")


class BackboneContract:
    """What every backbone keeps. Subclass it as `TestMyBackbone` and set `backbone`.

    Class attributes:
        backbone: the class under test.
        options: values of its options; a small variant keeps the tests fast.
        input_size: height and width of the test images, divisible by the largest stride.
        exports: whether torch.export is expected to trace it.
    """

    backbone: ClassVar[type[Backbone]]
    options: ClassVar[dict[str, Any]] = {}
    input_size: ClassVar[Size] = (64, 96)
    exports: ClassVar[bool] = True

    def new_backbone(self, seed: int = 0, tasks: tuple[str, ...] = TASKS) -> Backbone:
        """A fresh backbone whose weights are a function of the seed, bound to its tasks."""
        structured = OmegaConf.structured(self.backbone.Options)
        typed = OmegaConf.to_object(OmegaConf.merge(structured, self.options))
        torch.manual_seed(seed)
        backbone = self.backbone(typed)  # type: ignore[call-arg]
        backbone.bind_tasks(tasks)
        return backbone

    def images(self, count: int = 2) -> Tensor:
        """(count, 3, *input_size) float32, normalised noise."""
        return torch.randn(count, 3, *self.input_size, generator=torch.Generator().manual_seed(7))

    def test_options_are_documented(self) -> None:
        check_options(self.backbone.Options)

    def test_declares_levels_mean_and_std(self) -> None:
        backbone = self.new_backbone()
        spec = getattr(backbone, "spec", None)
        expect(isinstance(spec, FeatureSpec), "the backbone sets no spec: self.spec = FeatureSpec(channels, strides)")
        channels, strides = backbone.spec.channels, backbone.spec.strides
        expect(len(channels) == len(strides) > 0, f"spec has {len(channels)} channels for {len(strides)} strides")
        expect(list(strides) == sorted(set(strides)), f"spec has strides {list(strides)}; the finest level comes first")
        for name in ("mean", "std"):
            values = getattr(backbone, name, ())
            fits = len(values) == 3 and all(0.0 <= value <= 1.0 for value in values)
            expect(fits, f"{name} is {values!r}; expected 3 values in 0..1, red, green, blue")
        expect(min(backbone.std) > 0, f"std is {backbone.std!r}; images are divided by it")

    @pytest.mark.parametrize("factor", [1, 2])
    def test_levels_have_the_shapes_of_the_spec(self, factor: int) -> None:
        backbone = self.new_backbone().eval()
        images = self.images().repeat(1, 1, factor, factor)
        with torch.no_grad():
            levels = backbone(images, TASKS[0])
        expect(isinstance(levels, tuple), f"forward() returns {type(levels).__name__}, not a tuple of levels")
        height, width = images.shape[-2:]
        pairs = zip(backbone.spec.channels, backbone.spec.strides, strict=True)
        expected = [(len(images), c, height // s, width // s) for c, s in pairs]
        shapes = [tuple(level.shape) for level in levels]
        expect(shapes == expected, f"forward() gives levels of {shapes}; spec promises {expected}")
        expect(all(bool(torch.isfinite(level).all()) for level in levels), "forward() gives values that are not finite")

    def test_gradient_reaches_every_parameter(self) -> None:
        backbone = self.new_backbone().train()
        for task in TASKS:
            sum(level.float().square().mean() for level in backbone(self.images(), task)).backward()  # type: ignore[union-attr]
        named = [(name, p) for name, p in backbone.named_parameters() if p.requires_grad]
        without = [name for name, parameter in named if parameter.grad is None]
        expect(not without, f"no gradient reaches {', '.join(without)}: remove it, or set requires_grad to False")
        broken = [name for name, p in named if p.grad is not None and not torch.isfinite(p.grad).all()]
        expect(not broken, f"the gradient of {', '.join(broken)} is not finite")

    def test_weights_come_from_the_seed(self) -> None:
        found = difference(self.new_backbone().state_dict(), self.new_backbone().state_dict(), path="weights")
        expect(not found, f"two backbones made from one torch seed differ: {found}")

    def test_evaluation_repeats_itself(self) -> None:
        backbone, images = self.new_backbone().eval(), self.images()
        with torch.no_grad(), global_randomness_untouched("forward() in evaluation mode"):
            first, second = backbone(images, TASKS[0]), backbone(images, TASKS[0])
        found = difference(first, second, path="level")
        expect(not found, f"evaluation mode gives two outputs for one input: {found}")

    def test_evaluation_looks_at_each_image_alone(self) -> None:
        backbone, images = self.new_backbone().eval(), self.images()
        with torch.no_grad():
            together = [level[:1] for level in backbone(images, TASKS[0])]
            alone = list(backbone(images[:1], TASKS[0]))
        found = difference(together, alone, 1e-3, "level")
        expect(not found, f"in evaluation mode an image's features depend on its neighbours in the batch: {found}")

    def test_tasks_do_not_disturb_one_another(self) -> None:
        backbone, images = self.new_backbone(), self.images()
        with torch.no_grad():
            before = backbone.eval()(images, TASKS[0])
            backbone.eval()(images.flip(0), TASKS[1])
            after = backbone(images, TASKS[0])
        found = difference(before, after, path="level")
        expect(not found, f"evaluating another task changes a task's features: {found}")

    def test_stages_name_every_parameter(self) -> None:
        backbone = self.new_backbone()
        stages = backbone.stage_of_parameters()
        names = {name for name, _ in backbone.named_parameters()}
        odd = sorted(names ^ set(stages))
        expect(not odd, f"stage_of_parameters() and the parameters differ in {', '.join(odd[:4])}")
        expect(all(stage >= 0 for stage in stages.values()), "stage_of_parameters() counts from 0 at the stem")

    def test_checkpoint_brings_it_back(self) -> None:
        backbone, other, images = self.new_backbone(), self.new_backbone(seed=1), self.images()
        with torch.no_grad():
            for task in TASKS:
                backbone.train()(images, task)
            try:
                other.load_state_dict(backbone.state_dict())
            except RuntimeError as error:
                raise ContractFault(f"the weights do not fit a backbone built again: {error}") from error
            found = difference(other.eval()(images, TASKS[1]), backbone.eval()(images, TASKS[1]), 1e-5, "level")
        expect(not found, f"a backbone with the weights of another gives other features: {found}")

    def test_takes_channels_last(self) -> None:
        backbone, images = self.new_backbone().eval(), self.images()
        with torch.no_grad():
            expected = backbone(images, TASKS[0])
            last = backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            found = difference(last(images.to(memory_format=torch.channels_last), TASKS[0]), expected, 1e-3, "level")
        expect(not found, f"images in channels-last format give other features: {found}")

    def test_exports(self) -> None:
        if not self.exports:
            pytest.skip("exports is False")
        backbone, images = self.new_backbone().eval(), self.images()
        with torch.no_grad():
            try:
                traced = torch.export.export(backbone, (images, TASKS[0])).module()
            except Exception as error:  # the tracer raises many kinds
                raise ContractFault(f"torch.export cannot trace the backbone: {error}") from error
            found = difference(traced(images, TASKS[0]), backbone(images, TASKS[0]), 1e-4, "level")
        expect(not found, f"the exported backbone gives other features: {found}")
