"""Giving a grown model its structure: old weights in place, what must not change frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from umbel.contract.errors import CheckpointError
from umbel.contract.randomness import keyed_seed
from umbel.model.adapter import AdaptedBackbone
from umbel.model.model import MultiTaskModel


def freeze_existing(model: MultiTaskModel, kept: Sequence[str], adapter: tuple[int, float] | None, seed: int) -> None:
    """Freeze the backbone and the heads that a grown model keeps, and put an adapter on the backbone.

    Args:
        model: with old and new heads.
        kept: tasks whose heads stay as they are.
        adapter: its rank and alpha; None for none.
        seed: of the run, which the adapter's first weights are a function of.
    """
    model.freeze([model.backbone, *(model.heads[name] for name in kept)])
    if adapter is not None:
        torch.manual_seed(keyed_seed(seed, "adapter"))
        model.backbone = AdaptedBackbone(model.backbone, tuple(kept), *adapter)


def load_existing(model: MultiTaskModel, tensors: Mapping[str, Tensor], kept: tuple[str, ...], where: str) -> None:
    """Load a run's weights into a model with more tasks.

    Args:
        model: bound to old and new tasks.
        tensors: the run's weights by name.
        kept: the run's tasks.
        where: the checkpoint, for errors.

    Raises:
        CheckpointError: if anything but the new heads would stay unloaded.
    """
    backbone = {name[9:]: value for name, value in tensors.items() if name.startswith("backbone.")}
    state = {f"backbone.{name}": value for name, value in model.backbone.complete_state(backbone).items()}
    state |= {name: value for name, value in tensors.items() if name.startswith("heads.")}
    own = model.state_dict()
    needed = {name for name in own if not _is_new(name, kept)}
    missing = sorted(needed - state.keys())
    unknown = sorted(state.keys() - own.keys())
    shapes = sorted(name for name in needed & state.keys() if state[name].shape != own[name].shape)
    parts = [("missing", missing), ("not in this model", unknown), ("of another shape", shapes)]
    faults = "; ".join(f"{len(names)} {what}: {', '.join(names[:3])}" for what, names in parts if names)
    if faults:
        raise CheckpointError(f"does not fit the grown model: {faults}", where=where)
    model.load_state_dict(state, strict=False)


def _is_new(name: str, kept: tuple[str, ...]) -> bool:
    owner, _, rest = name.partition(".")
    return owner == "balancer" or (owner == "heads" and rest.partition(".")[0] not in kept)
