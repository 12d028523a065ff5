"""The states of a metric over several ranks: gathered once, by core; no metric ever talks to other ranks by itself.

torchmetrics would exchange states whenever `compute()` is called, a list tensor by tensor. Ranks see different numbers
of images, so a reporter that computes image by image, or a list of one tensor an image, would wait for ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.utilities import dim_zero_cat, dim_zero_mean

from umbel.contract.errors import PluginError
from umbel.runtime.base import Inference

_TREE = "tree"


@contextmanager
def apart() -> Iterator[None]:
    """Inside the block no metric exchanges anything with other ranks, whoever made it and whatever computes it."""
    own = Metric.sync
    Metric.sync = _stay_apart  # type: ignore[assignment, method-assign]  # compute() and forward() of all call it
    try:
        yield
    finally:
        Metric.sync = own  # type: ignore[method-assign]


def gather_states(runtime: Inference, metric: nn.Module) -> None:
    """Give a metric the states of all ranks, as if one process had seen the data in the order of the ranks; every rank
    must call it, also one that has updated nothing."""
    if runtime.world_size > 1:
        unite(metric, runtime.all_gather_tensors(pack(metric)))


def pack(metric: nn.Module) -> Tensor:
    """(N,) uint8: all states of a metric and of the metrics inside it.

    Raises:
        PluginError: for a state of anything but tensors, numbers and text, and lists or tuples of them.
    """
    tensors: dict[str, Tensor] = {}
    tree = {}
    for name, one in _metrics(metric):
        states = {key: _encode(_joined(one, key), tensors, f"{type(one).__name__}.{key}") for key in one._reductions}
        tree[name] = {"updates": one._update_count, "states": states}
    tensors[_TREE] = _bytes(json.dumps(tree).encode())
    return _bytes(save(tensors))


def unite(metric: nn.Module, packed: Sequence[Tensor]) -> None:
    """Put what the ranks have packed, in their order, into a metric.

    A rank that has updated nothing has no say. A state that is a mean is weighed by the number of updates behind it.
    """
    ranks = [_unpack(one) for one in packed]
    ranks = [rank for rank in ranks if any(part["updates"] for part in rank.values())] or ranks[:1]
    for name, one in _metrics(metric):
        parts = [rank[name] for rank in ranks]
        updates = [int(part["updates"]) for part in parts]
        for key, reduction in one._reductions.items():
            value = _reduce([part["states"][key] for part in parts], updates, reduction)  # type: ignore[arg-type]
            setattr(one, key, _to(value, one.device))
        one._update_count = sum(updates)
        one._computed = None


def _stay_apart(metric: Metric, *given: Any, **named: Any) -> None:
    """In place of `Metric.sync`, whatever it is called with."""


def _metrics(module: nn.Module | None, name: str = "") -> Iterator[tuple[str, Metric]]:
    """A metric and those inside it by name; `named_modules` would hash them, and with them all they hold."""
    if isinstance(module, MetricCollection):
        module.items()  # members that share one's states get them
    if isinstance(module, Metric):
        yield name, module
    for key, inner in module._modules.items() if module is not None else ():
        yield from _metrics(inner, f"{name}.{key}")


def _joined(metric: Metric, key: str) -> Any:
    """A state; a list that is concatenated in the end is so at once, which saves thousands of small tensors."""
    value = getattr(metric, key)
    concatenated = metric._reductions[key] is dim_zero_cat and isinstance(value, list) and len(value) > 1
    return [dim_zero_cat(value)] if concatenated else value


def _reduce(values: list[Any], updates: list[int], reduction: Callable[[Any], Any] | None) -> Any:
    """One state from those of the ranks, each a tensor or a list."""
    if any(isinstance(value, list) for value in values):
        joined = [item for value in values for item in (value if isinstance(value, list) else [value])]
        return joined if reduction in (None, dim_zero_cat) else reduction(joined)  # type: ignore[misc]
    if len(values) == 1:
        return values[0]
    if reduction is dim_zero_cat:
        return torch.cat([value if value.ndim else value[None] for value in values])
    stacked = torch.stack(values)
    if reduction is dim_zero_mean:
        weights = torch.tensor(updates, dtype=stacked.dtype).clamp(min=1).view(-1, *[1] * (stacked.ndim - 1))
        return (stacked * weights).sum(0) / weights.sum()
    return stacked if reduction is None else reduction(stacked)


def _encode(value: Any, tensors: dict[str, Tensor], where: str) -> Any:
    """A value as JSON, its tensors and bytes set aside by number."""
    if isinstance(value, (Tensor, bytes)):
        kind, tensor = ("tensor", value) if isinstance(value, Tensor) else ("bytes", _bytes(value))
        tensors[str(len(tensors))] = tensor.detach().to("cpu", copy=True).contiguous()
        return {kind: str(len(tensors) - 1)}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_encode(item, tensors, where) for item in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    raise PluginError(
        f"the state {where} of a metric holds a {type(value).__name__}, which ranks cannot exchange",
        hint="states are tensors, or lists of tensors",
    )


def _decode(value: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Any:
    ((kind, held),) = value.items()
    if kind in ("tensor", "bytes"):
        return tensors[held] if kind == "tensor" else tensors[held].numpy().tobytes()
    if kind in ("list", "tuple"):
        items = [_decode(item, tensors) for item in held]
        return items if kind == "list" else tuple(items)
    return held


def _unpack(packed: Tensor) -> dict[str, Any]:
    tensors = load(packed.numpy().tobytes())
    tree: dict[str, Any] = json.loads(tensors[_TREE].numpy().tobytes())
    for part in tree.values():
        part["states"] = {key: _decode(value, tensors) for key, value in part["states"].items()}
    return tree


def _bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8) if content else torch.zeros(0, dtype=torch.uint8)


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    return [_to(item, device) for item in value] if isinstance(value, list) else value
