"""Entering and leaving the pretence: what torch says of the machine, and the modes that keep the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import torch
from torch.overrides import _get_current_function_mode_stack

from umbel.runtime import compiler
from umbel.testing.gpu.calls import CallRules
from umbel.testing.gpu.device import CUDA, PretendedGpu
from umbel.testing.gpu.operators import OperatorRules
from umbel.testing.gpu.streams import PretendedStream

GIB = 2**30


@contextmanager
def pretended_gpu() -> Iterator[PretendedGpu]:
    """Inside the block torch has a CUDA device, and `device="cuda"` is obeyed, on the CPU."""
    gpu = PretendedGpu()
    calls = CallRules(gpu)
    with ExitStack() as stack:
        for target, name, value in _replacements(gpu, calls):
            stack.enter_context(patch.object(target, name, value))
        stack.enter_context(calls)
        stack.enter_context(OperatorRules(gpu))
        yield gpu


def _replacements(gpu: PretendedGpu, calls: CallRules) -> Iterator[tuple[Any, str, Any]]:
    answers = {
        "is_available": True,
        "is_initialized": False,
        "device_count": 1,
        "current_device": 0,
        "is_bf16_supported": True,
        "get_device_name": "pretended GPU",
        "get_device_capability": (8, 0),
        "max_memory_allocated": 0,
        "memory_allocated": 0,
        "memory_reserved": 0,
        "mem_get_info": (64 * GIB, 80 * GIB),
        "set_device": None,
        "reset_peak_memory_stats": None,
    }
    for name, answer in answers.items():
        yield torch.cuda, name, _always(answer)
    yield torch.cuda, "synchronize", lambda *given, **named: gpu.wait("torch.cuda.synchronize")
    yield torch.cuda, "Stream", PretendedStream
    yield torch.cuda, "stream", gpu.streams.entered
    yield torch.cuda, "current_stream", lambda device=None: gpu.streams.current
    yield torch.Tensor, "record_stream", lambda tensor, stream: gpu.record_stream(tensor, stream)
    yield compiler, "has_triton", _always(False)  # there is no GPU to compile for
    yield torch.accelerator, "current_accelerator", _always(None)
    yield torch, "autocast", _Autocast
    name = "_engine_run_backward"
    yield torch.autograd, name, _backward(gpu, calls, getattr(torch.autograd, name))
    checkpoint = import_module("torch.utils.checkpoint")
    name = "_allowed_determinism_checks_to_fns"
    yield checkpoint, name, {mode: _below_calls(check) for mode, check in getattr(checkpoint, name).items()}
    for module in map(import_module, ("torch.nn.utils.clip_grad", "torch.optim.optimizer")):
        name = "_group_tensors_by_device_and_dtype"
        yield module, name, _grouping(gpu, getattr(module, name))


def _always(answer: Any) -> Callable[..., Any]:
    return lambda *given, **named: answer


class _Autocast(torch.autocast):
    """That of the CPU, which casts linear layers and convolutions as CUDA's does."""

    def __init__(self, device_type: str, *given: Any, **named: Any) -> None:
        super().__init__("cpu" if device_type == "cuda" else device_type, *given, **named)


def _backward(gpu: PretendedGpu, calls: CallRules, run: Callable[..., Any]) -> Callable[..., Any]:
    """The backward pass makes zeros on the device; code of Python inside it keeps to the rules of calls as well."""

    def inner(*given: Any, **named: Any) -> Any:
        gpu.backward += 1
        try:
            if calls in _get_current_function_mode_stack():  # type: ignore[no-untyped-call]
                return run(*given, **named)
            with calls:
                return run(*given, **named)
        finally:
            gpu.backward -= 1

    return inner


def _below_calls(check: Callable[..., Any]) -> Callable[..., Any]:
    """What checkpointing compares of a tensor: when it is saved, inside an operator, only the real device is known."""

    def inner(*given: Any) -> Any:
        with torch._C.DisableTorchFunction():  # type: ignore[attr-defined]
            return check(*given)

    return inner


def _grouping(gpu: PretendedGpu, group: Callable[..., Any]) -> Callable[..., Any]:
    """Groups of tensors by device are made below Python, which knows the real device only."""

    def inner(lists: Any, with_indices: bool = False) -> Any:
        return {
            (CUDA if gpu.holds(members[0][0][0]) else device, dtype): members
            for (device, dtype), members in group(lists, with_indices).items()
        }

    return inner
