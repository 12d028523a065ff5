"""Putting saved weights into a model."""

from __future__ import annotations

from torch import Tensor, nn

from umbel.contract.errors import CheckpointError


def load_weights(model: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Load a full set of weights into a model; CheckpointError lists what does not fit."""
    own = model.state_dict()
    missing = sorted(own.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - own.keys())
    shapes = [
        f"{name} {tuple(tensors[name].shape)} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    if missing or unknown or shapes:
        parts = [("missing", missing), ("not in this model", unknown), ("of another shape", shapes)]
        listed = "; ".join(f"{len(names)} {what}: {', '.join(names[:3])}" for what, names in parts if names)
        raise CheckpointError(f"does not fit this recipe's model: {listed}", where=where)
    model.load_state_dict(tensors)
