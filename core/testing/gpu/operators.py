"""The rules of CUDA below autograd: where an operator's result lies, which operators wait, and which refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from umbel.testing.gpu.device import PretendedGpu
from umbel.testing.gpu.nondeterministic import refused_kernel

WAITING = {  # the host needs a value, or a shape that depends on values
    "aten::_local_scalar_dense": "item",
    "aten::nonzero": "nonzero",
    "aten::masked_select": "masked_select",
    "aten::_unique2": "unique",
    "aten::unique_dim": "unique",
    "aten::unique_consecutive": "unique",
    "aten::repeat_interleave": "repeat_interleave",
    "aten::bincount": "bincount",
    "aten::equal": "equal",
    "aten::multinomial": "multinomial",
    "torchvision::nms": "nms",
}
INDEXING = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")
JOINING = ("aten::cat", "aten::stack")  # they take not even a scalar of the other device
MASKS = (torch.bool, torch.uint8)


class OperatorRules(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every operator, forward and backward.

    Args:
        gpu: the device.
    """

    def __init__(self, gpu: PretendedGpu) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        on_device = [self.gpu.holds(tensor) for tensor in tensors]
        for tensor in (tensor for tensor, there in zip(tensors, on_device, strict=True) if there):
            self.gpu.use(tensor)
        if name == "aten::copy_":
            self._copy(on_device, kwargs.get("non_blocking", args[2] if len(args) > 2 else False))
            return func(*args, **kwargs)
        if any(on_device):
            self._check(func, args, kwargs, [t for t, there in zip(tensors, on_device, strict=True) if not there])
        with torch._C.DisableTorchFunction():  # type: ignore[attr-defined]
            result = func(*args, **kwargs)
        made_there = any(on_device) if tensors else self.gpu.creating or self.gpu.backward > 0
        if made_there:
            for leaf in tree_leaves(result):
                if isinstance(leaf, Tensor) and not any(leaf is tensor for tensor in tensors):
                    self.gpu.place(leaf, on_device=True)
        return result

    def _copy(self, on_device: Sequence[bool], non_blocking: bool) -> None:
        to, source = on_device[0], on_device[1]
        if to != source and not (to and non_blocking):
            self.gpu.wait("copy_ to the device" if to else "copy_ from the device")

    def _check(self, func: Any, args: Any, kwargs: Any, of_cpu: Sequence[Tensor]) -> None:
        name = func._schema.name
        if torch.are_deterministic_algorithms_enabled() and (kernel := refused_kernel(func, args, kwargs)):
            self.gpu.refuse_kernel(kernel)
        if name in WAITING:
            self.gpu.wait(WAITING[name])
        if name in INDEXING:
            self._check_indexing(name, args)
        elif of_cpu and name != "aten::_to_copy":
            large = [tensor for tensor in of_cpu if tensor.dim() > 0 or name in JOINING]
            if large or self._writes_to_cpu(func, args, kwargs):
                shapes = ", ".join(str(tuple(tensor.shape)) for tensor in large or of_cpu)
                self.gpu.refuse(f"{name} of the GPU with {shapes} of the CPU")

    def _check_indexing(self, name: str, args: Any) -> None:
        target: Tensor = args[0]
        values: list[Tensor] = list(args[2:3])
        indices = [index for index in args[1] if isinstance(index, Tensor)]
        if not self.gpu.holds(target):
            self.gpu.refuse(f"{name} of {tuple(target.shape)} of the CPU with tensors of the GPU")
        if any(value.dim() > 0 and not self.gpu.holds(value) for value in values):
            self.gpu.refuse(f"{name} on the GPU with a value {tuple(values[0].shape)} of the CPU")
        if any(not self.gpu.holds(index) for index in indices):
            self.gpu.wait("index from the CPU")
        masks = [index for index in indices if index.dtype in MASKS]
        is_fill = len(indices) == 1 and bool(values) and not self.gpu.holds(values[0])  # a number: no index is made
        if masks and not is_fill:
            self.gpu.wait("boolean index")

    def _writes_to_cpu(self, func: Any, args: Any, kwargs: Any) -> bool:
        """Whether a tensor of the CPU, a scalar at that, is to take a result of the GPU."""
        for position, argument in enumerate(func._schema.arguments):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            value = args[position] if position < len(args) else kwargs.get(argument.name)
            if isinstance(value, Tensor) and not self.gpu.holds(value):
                return True
        return False
