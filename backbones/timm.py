"""Any timm model as the shared backbone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from timm.layers import LayerNorm2d
from torch import Tensor, nn

from umbel import Backbone
from umbel.backbones.fold import fold_frozen_norms
from umbel.backbones.norm import (
    Selection,
    TaskBatchNorm2d,
    complete_statistics,
    convert_batch_norms,
    freeze_batch_norm,
    has_batch_norm,
)
from umbel.backbones.options import TimmOptions
from umbel.backbones.padding import fix_padding
from umbel.backbones.shared import build_backbone, nchw
from umbel.backbones.weights import load_weights

_LEVEL_NORM_EPS = 1e-6  # as in facebookresearch/ConvNeXt's dense prediction backbones


class TimmBackbone(Backbone):
    """A timm model cut to its feature levels, with a norm on each where its stages end without one.

    Args:
        options: which model, from which weights, which levels.

    Raises:
        ConfigError: for an unknown model, or one that cannot be a backbone.
        CheckpointError: for weights that would leave any part of the backbone at random values.
    """

    Options = TimmOptions

    def __init__(self, options: TimmOptions) -> None:
        super().__init__()
        built = build_backbone(options)
        self.options = options
        self.trunk = built.module  # checkpoints have it under this name
        self.spec, self.mean, self.std = built.spec, built.mean, built.std
        self._channels_last = built.channels_last
        batch_norm = has_batch_norm(self.trunk)
        self._frozen_stats = options.norm_stats == "frozen" or (options.norm_stats is None and bool(options.weights))
        self._selection = Selection()
        self._batch_norm = batch_norm
        if batch_norm and self._frozen_stats:
            fold_frozen_norms(self.trunk)
        elif batch_norm:
            convert_batch_norms(self.trunk, self._selection)
        wants_norm = not batch_norm if options.level_norm is None else options.level_norm
        self.level_norms = nn.ModuleList(
            LayerNorm2d(channels, eps=_LEVEL_NORM_EPS) if wants_norm else nn.Identity()
            for channels in self.spec.channels
        )
        if options.freeze:
            self.trunk.requires_grad_(False)
        self.train(self.training)

    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        """Feature levels of normalised images; see `Backbone.forward`.

        Raises:
            ConfigError: for a task that the backbone keeps no statistics of.
        """
        self._selection.task = task
        try:
            levels = self.trunk(images)
        finally:
            self._selection.task = None
        return tuple(
            norm(nchw(level, self._channels_last)) for norm, level in zip(self.level_norms, levels, strict=True)
        )

    def bind_tasks(self, names: tuple[str, ...]) -> None:
        """Give every task its own batch statistics, if `norm_stats` says so."""
        policy = self.options.norm_stats
        if policy == "per_task" or (policy is None and len(names) > 1):
            for layer in self._task_norms():
                layer.bind(names)

    def complete_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Batch statistics of tasks that the state lacks: the mean of those of the tasks it has."""
        return complete_statistics(state, self)

    def feature_key(self, task: str) -> str:
        """Only batch statistics of their own tell tasks apart."""
        own = any(layer.tasks for layer in self._task_norms())
        return task if own else ""

    def keep_tasks(self, names: tuple[str, ...]) -> None:
        """Drop the batch statistics of other tasks."""
        for layer in self._task_norms():
            layer.keep(names)

    def inferred_options(self) -> dict[str, Any]:
        """How batch statistics are kept, which would follow the number of tasks and the weights otherwise."""
        if not self._batch_norm:
            return {}
        if self._frozen_stats:
            return {"norm_stats": "frozen"}
        own = any(layer.tasks for layer in self._task_norms())
        return {"norm_stats": "per_task" if own else "shared"}

    def for_export(self) -> TimmBackbone:
        """A copy whose convolutions pad by constants, where they compute the padding from each input's size."""
        copied = copy.deepcopy(self)
        fix_padding(copied.trunk)
        return copied

    def train(self, mode: bool = True) -> TimmBackbone:
        """Training or evaluation mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        if self.options.freeze:
            self.trunk.eval()
        if self._frozen_stats:
            freeze_batch_norm(self.trunk)
        _checkpoint_blocks(self.trunk, mode and self.options.grad_checkpointing and not self.options.freeze)
        return self

    def summary(self) -> str:
        """The model and how its batch statistics behave."""
        if not self._batch_norm:
            return self.options.model
        if self._frozen_stats:
            return f"{self.options.model}, batch statistics frozen"
        tasks = next((layer.tasks for layer in self._task_norms()), ())
        return f"{self.options.model}, batch statistics {'per task' if tasks else 'shared'}"

    def _task_norms(self) -> Iterator[TaskBatchNorm2d]:
        return (layer for layer in self.trunk.modules() if isinstance(layer, TaskBatchNorm2d))

    def load_pretrained(self) -> str:
        """Load `weights` into the backbone; see `Backbone.load_pretrained`."""
        if not self.options.weights:
            return "random initialisation"
        return load_weights(self.trunk, self.options.model, self.options.weights)


def _checkpoint_blocks(backbone: nn.Module, enable: bool) -> None:
    """Recompute activations block by block where timm's stages can, else stage by stage."""
    able: list[Any] = [module for module in backbone.modules() if hasattr(module, "grad_checkpointing")]
    stages = [module for module in able if module is not backbone]
    for module in stages or able:
        module.grad_checkpointing = enable
