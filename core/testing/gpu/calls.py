"""The rules of CUDA above autograd: calls that name a device, and properties that tell it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from umbel.testing.gpu.device import CPU, CUDA, NotOnHostError, PretendedGpu, caller
from umbel.testing.gpu.nondeterministic import interpolate_by_index, is_linear

FROM_VALUES = ("tensor", "as_tensor", "asarray", "new_tensor")  # what they read lies in the host's memory
ARRAYS = ("numpy", "__array__")


class CallRules(TorchFunctionMode):
    """Answers `.device`, `.to()`, `.cpu()`, `device=` and the like.

    Args:
        gpu: the device.
    """

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()
        self.gpu = gpu

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if name == "__get__":
            return self._property(func, args, kwargs)
        if name in FROM_VALUES:
            return self._from_values(func, name, args, kwargs)
        if first is not None and name in ("to", "cuda", "cpu", "type"):
            return self._moved(func, name, args, kwargs)
        if first is not None and name in ("pin_memory", "is_pinned"):
            return self.gpu.pin(first) if name == "pin_memory" else self.gpu.is_pinned(first)
        if first is not None and self.gpu.holds(first):
            if name in ARRAYS:
                raise NotOnHostError(f"{caller()}: {name}() of a tensor of the GPU: use .cpu() first")
            if name == "tolist":
                with self.gpu.as_one_wait("tolist"):
                    return func(*args, **kwargs)
            if name == "get_device":
                return CUDA.index
            if name == "__deepcopy__":
                return self._placed(func(*args, **kwargs), on_device=True)
            if torch.are_deterministic_algorithms_enabled() and is_linear(func, args, kwargs):
                with self:
                    return interpolate_by_index(*args, **kwargs)
        device = _device(kwargs.get("device"))
        if device is None or device.type == "meta":
            return func(*args, **kwargs)
        kwargs["device"] = CPU
        before, self.gpu.creating = self.gpu.creating, device.type == "cuda"
        try:
            return self._placed(func(*args, **kwargs), on_device=device.type == "cuda")
        finally:
            self.gpu.creating = before

    def _property(self, func: Any, args: Any, kwargs: Any) -> Any:
        value = func(*args, **kwargs)
        attribute = getattr(getattr(func, "__self__", None), "__name__", "")
        if attribute in ("device", "is_cuda", "is_cpu") and self.gpu.holds(args[0]):
            return {"device": CUDA, "is_cuda": True, "is_cpu": False}[attribute]
        return value

    def _from_values(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        device = _device(kwargs.get("device"))
        if device is not None:
            kwargs["device"] = CPU if device.type in ("cpu", "cuda") else device
        source = args[0] if args and isinstance(args[0], Tensor) else None
        there = source is not None and self.gpu.holds(source)
        wanted = device.type == "cuda" if device is not None else there
        with torch._C.DisableTorchFunction():  # type: ignore[attr-defined]
            made: Tensor = func(*args, **kwargs)
        is_given = source is not None and name != "new_tensor"
        if is_given and there == wanted:
            return self._placed(made, on_device=wanted)
        if wanted or is_given:
            self.gpu.wait(f"{name} {'to' if wanted else 'from'} the device")
        return self._placed(made if name in ("tensor", "new_tensor") else made.clone(), on_device=wanted)

    def _moved(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        tensor, rest = args[0], list(args[1:])
        wanted, non_blocking = self._destination(name, rest, kwargs)
        if wanted is None or wanted.type not in ("cpu", "cuda"):
            return func(tensor, *rest, **kwargs)
        there, goes_there = self.gpu.holds(tensor), wanted.type == "cuda"
        here = Tensor.to if name == "cuda" else func
        given = [CPU, *rest] if name == "cuda" else rest
        converted = here(tensor, *given, **kwargs)
        if there == goes_there:
            return converted
        if not non_blocking:
            self.gpu.wait(f"{name} {'to' if goes_there else 'from'} the device")
        return _Move.apply(converted, self.gpu, goes_there)  # type: ignore[no-untyped-call]

    def _destination(self, name: str, rest: list[Any], kwargs: dict[str, Any]) -> tuple[torch.device | None, bool]:
        """The device that a call names, and whether the host goes on; the arguments name the CPU afterwards."""
        if name == "type":
            return None, False
        if name in ("cpu", "cuda"):
            kwargs.pop("device", None)
            if name == "cuda" and rest and not isinstance(rest[0], bool):
                rest.pop(0)
            non_blocking = bool(kwargs.pop("non_blocking", rest.pop(0) if name == "cuda" and rest else False))
            return (CPU if name == "cpu" else CUDA), non_blocking
        wanted = _device(kwargs.get("device"))
        if wanted is not None:
            kwargs["device"] = CPU if wanted.type in ("cpu", "cuda") else wanted
        elif rest and isinstance(rest[0], Tensor):
            wanted = CUDA if self.gpu.holds(rest[0]) else CPU
        elif rest and (named := _device(rest[0])) is not None:
            wanted = named
            rest[0] = CPU if wanted.type in ("cpu", "cuda") else wanted
        flags = [value for value in rest if isinstance(value, bool)]
        return wanted, bool(kwargs.get("non_blocking", flags[0] if flags else False))

    def _placed(self, result: Any, *, on_device: bool) -> Any:
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.gpu.place(leaf, on_device=on_device)
        return result


class _Move(torch.autograd.Function):
    """A copy on the other device; its gradient goes back to the first."""

    @staticmethod
    def forward(context: Any, tensor: Tensor, gpu: PretendedGpu, to_device: bool) -> Tensor:
        context.gpu, context.to_device = gpu, to_device
        return _copied(tensor, gpu, to_device=to_device)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _copied(gradient, context.gpu, to_device=not context.to_device), None, None


def _copied(tensor: Tensor, gpu: PretendedGpu, *, to_device: bool) -> Tensor:
    copy = tensor.detach().clone()
    gpu.place(copy, on_device=to_device)
    return copy


def _device(value: Any) -> torch.device | None:
    if isinstance(value, torch.device):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return torch.device("cuda", value)
    if isinstance(value, str):
        try:
            return torch.device(value)
        except RuntimeError:
            return None
    return None
