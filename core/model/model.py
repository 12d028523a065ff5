"""The model: one shared backbone and one head a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from umbel.contract.backbone import Backbone
from umbel.contract.balancer import Balancer, FixedBalancer, FixedOptions
from umbel.contract.errors import ConfigError, of_task
from umbel.contract.randomness import keyed_seed
from umbel.contract.task import Task


class MultiTaskModel(nn.Module):
    """A shared backbone with named heads.

    Args:
        backbone: shared by all tasks; its mean and std normalise their images.
        heads: one head a task, by task name.
        balancer: sets the weights of the tasks while training; None leaves them to the recipe.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, heads: Mapping[str, nn.Module], balancer: Balancer | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.heads = nn.ModuleDict(heads)
        self._frozen: list[nn.Module] = []
        self.balancer = balancer or FixedBalancer(FixedOptions(), tuple(heads))
        self.register_buffer("mean", 255 * torch.tensor(backbone.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(backbone.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor, task: str) -> Any:
        """Raw output of a task's head.

        Args:
            images: (B, 3, H, W) uint8, or float in 0..255.
            task: name of the task the images belong to.
        """
        return self.heads[task](self.features(images, task))

    def freeze(self, modules: Sequence[nn.Module]) -> None:
        """Freeze parts of the model: no gradients, and evaluation mode even while the rest trains."""
        self._frozen = list(modules)
        for module in modules:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> MultiTaskModel:
        """Training or evaluation mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def features(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        """Feature levels of images as `forward` takes them; of all tasks of one `Backbone.feature_key` the same."""
        levels: tuple[Tensor, ...] = self.backbone(self.normalise(images), task)
        return levels

    def normalise(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) pixel values in 0..255 as zero-mean, unit-variance float32 of the same memory format."""
        exact = images if images.dtype == torch.uint8 else images.float()  # bytes become floats as they are subtracted
        normalised: Tensor = (exact - self.mean).div_(self.std)
        return normalised

    @property
    def pad_color(self) -> list[float]:
        """The colour that normalises to zero, 3 values in 0..255: what views are padded with."""
        values: list[float] = (255 * torch.tensor(self.backbone.mean)).tolist()
        return values


def count_parameters(module: nn.Module) -> int:
    """Numbers in the parameters of a module, whole ones too where each process holds a share."""
    return sum(int(getattr(p, "ds_numel", p.numel())) for p in module.parameters())  # sharded ones look empty


def build_model(
    backbone: Backbone, tasks: Mapping[str, Task[Any]], seed: int, balancer: Balancer | None = None
) -> MultiTaskModel:
    """Bind the tasks to a backbone: check their input sizes, make their heads.

    A head's first weights depend on the seed and the task's name only, so that adding or dropping another task leaves
    them as they were.
    """
    largest = max(backbone.spec.strides)
    for name, task in tasks.items():
        height, width = task.config.input_size
        if height % largest or width % largest:
            nearest = [max(largest, round(side / largest) * largest) for side in (height, width)]
            raise ConfigError(
                f"[{height}, {width}] is not divisible by the backbone's largest stride {largest}",
                where=f"tasks.{name}.input_size",
                hint=f"for example {nearest}",
            )
    backbone.bind_tasks(tuple(tasks))
    heads = {}
    for name, task in tasks.items():
        torch.manual_seed(keyed_seed(seed, "head", name))
        try:
            with of_task(name):
                heads[name] = task.head(backbone.spec)
        except ValueError as error:
            raise ConfigError(f"the head cannot be built: {error}", where=f"tasks.{name}") from None
    return MultiTaskModel(backbone, heads, balancer)


def keep_tasks(model: MultiTaskModel, names: Sequence[str]) -> None:
    """Remove heads and backbone parts of all other tasks, in place."""
    for name in list(model.heads):
        if name not in names:
            del model.heads[name]
    model.backbone.keep_tasks(tuple(names))
