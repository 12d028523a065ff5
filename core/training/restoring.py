"""Leaving no trace: what a trial has moved in a model and in the global random generators is put back to the bit."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

_ATOMS = (int, float, complex, bool, str, bytes, tuple, frozenset, type(None))


@contextmanager
def restored(model: nn.Module, others: Iterable[object] = ()) -> Iterator[None]:
    """After it the model has the buffers, attributes and mode that it had before, and no gradients, and the global
    generators of torch, numpy and `random` go on where they were.

    Its weights are taken to be left alone, as they are by forward and backward passes: no copy of them is made.

    Args:
        model: has neither gradients nor a step behind it.
        others: objects whose counters are put back as well; what they have read and keep may stay.
    """
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    of_random, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  the global one is what is kept
    back = [_keep_module(module) for module in model.modules()]
    back += [_keep_numbers(one) for one in others]
    try:
        with torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        model.zero_grad(set_to_none=True)
        for put_back in back:
            put_back()
        random.setstate(of_random)
        np.random.set_state(of_numpy)  # noqa: NPY002


def _keep_numbers(one: object) -> Callable[[], None]:
    """Puts back the numbers among an object's attributes; one that is new counted from what its class has."""
    before = {key: value for key, value in vars(one).items() if isinstance(value, (int, float))}

    def put_back() -> None:
        for key in [key for key, value in vars(one).items() if isinstance(value, (int, float)) and key not in before]:
            del vars(one)[key]
        vars(one).update(before)

    return put_back


def _keep_module(module: nn.Module) -> Callable[[], None]:
    """Puts back a module's buffers, the very tensors, and its plain attributes; caches it has made may stay."""
    buffers = {name: (buffer, None if buffer is None else buffer.detach().clone()) for name, buffer in _buffers(module)}
    plain = {key: value for key, value in vars(module).items() if isinstance(value, _ATOMS)}
    numbers = _keep_numbers(module)
    containers = [_keep_container(value) for key, value in vars(module).items() if not key.startswith("_")]

    def put_back() -> None:
        own = module._buffers
        for name in [name for name in own if name not in buffers]:
            del own[name]
        with torch.no_grad():
            for name, (buffer, content) in buffers.items():
                if buffer is not None and content is not None:
                    buffer.copy_(content)
                own[name] = buffer
        numbers()
        vars(module).update(plain)
        for contents in containers:
            contents()

    return put_back


def _buffers(module: nn.Module) -> Iterator[tuple[str, torch.Tensor | None]]:
    yield from module._buffers.items()


def _keep_container(value: Any) -> Callable[[], None]:
    """Puts back what a list, dict, set or deque holds, and what those inside it hold."""
    if isinstance(value, (list, deque)):
        items = list(value)
        inside = [_keep_container(item) for item in items]

        def of_list() -> None:
            value.clear()
            value.extend(items)
            _call(inside)

        return of_list
    if isinstance(value, (dict, set)):
        copy = value.copy()
        inside = [_keep_container(item) for item in copy.values()] if isinstance(copy, dict) else []

        def of_mapping() -> None:
            value.clear()
            value.update(copy)  # type: ignore[arg-type]
            _call(inside)

        return of_mapping
    if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter) and not value.requires_grad:
        content = value.clone()

        def of_tensor() -> None:
            value.copy_(content)

        return of_tensor
    return _nothing


def _call(actions: list[Callable[[], None]]) -> None:
    for action in actions:
        action()


def _nothing() -> None:
    return
