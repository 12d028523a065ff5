"""Low-rank adapters on a backbone: on for new tasks, off for old ones, whose features stay as they were to the bit."""

from __future__ import annotations

import re
import warnings
from typing import Any

from torch import Tensor, nn

from umbel.contract.backbone import Backbone
from umbel.contract.errors import ConfigError


class AdaptedBackbone(Backbone):
    """A backbone whose convolutions and linear layers carry LoRA adapters (Hu et al., ICLR 2022), by way of peft.

    Args:
        inner: the backbone; its own weights are frozen by the caller.
        off: names of the tasks that run without the adapters.
        rank: rank of the adapters.
        alpha: numerator of their scale, alpha / rank.

    Raises:
        ConfigError: if peft is not installed, or the backbone has no layer that can carry an adapter.
    """

    def __init__(self, inner: Backbone, off: tuple[str, ...], rank: int, alpha: float) -> None:
        super().__init__()
        self.spec, self.mean, self.std = inner.spec, inner.mean, inner.std
        self.inner = inner
        self.off = frozenset(off)
        targets = [name for name, layer in inner.named_modules() if _can_carry(layer)]
        if not targets:
            raise ConfigError(
                "no layer of the backbone can carry an adapter: it takes plain convolutions or linear layers, "
                "and frozen batch normalisation is a part of its convolution",
                where="growth.mode",
                hint="use frozen or joint",
            )
        self._adapters = _inject(inner, targets, rank, alpha)

    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        for layer in self._adapters:
            layer.enable_adapters(task not in self.off)
        return self.inner(images, task)  # type: ignore[no-any-return]

    def bind_tasks(self, names: tuple[str, ...]) -> None:
        self.inner.bind_tasks(names)

    def feature_key(self, task: str) -> str:
        return f"{self.inner.feature_key(task)}{'' if task in self.off else '+adapter'}"

    def keep_tasks(self, names: tuple[str, ...]) -> None:
        self.inner.keep_tasks(names)

    def for_export(self) -> Backbone:
        raise ConfigError("a backbone with adapters has no graph for export", where="growth.mode: adapter")

    def inferred_options(self) -> dict[str, Any]:
        return self.inner.inferred_options()

    def summary(self) -> str:
        return f"{self.inner.summary()}, adapters on {len(self._adapters)} layers"


def _can_carry(layer: nn.Module) -> bool:
    if type(layer) is nn.Conv2d:
        return layer.groups == 1
    return type(layer) is nn.Linear


def _inject(backbone: nn.Module, targets: list[str], rank: int, alpha: float) -> list[Any]:
    """Put the adapters in; the layers that carry one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft's dependencies complain about each other
            from peft import LoraConfig, inject_adapter_in_model
            from peft.tuners.tuners_utils import BaseTunerLayer
    except ImportError:
        raise ConfigError(
            "adapters need the package peft", where="growth.mode", hint="pip install 'umbel[adapter]'"
        ) from None
    pattern = "|".join(re.escape(name) for name in targets)  # a list would be taken for endings of names
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=pattern), backbone)
    return [layer for layer in backbone.modules() if isinstance(layer, BaseTunerLayer)]
