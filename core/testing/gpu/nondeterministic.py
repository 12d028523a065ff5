"""Operators for which CUDA has no kernel that repeats to the bit: those that torch's documentation of
`use_deterministic_algorithms` names as raising; and what torch computes otherwise in that mode, by its own Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from torch import Tensor
from torch._decomp.decompositions import _upsample_linear_vec
from torch.nn import functional as F

Given = Mapping[str, Any]  # what an operator was called with, by the name of the argument

_NO_REDUCTION = 0  # of a loss: one value a target
_MAX_MODE = 2  # of an embedding bag


def _always(given: Given) -> bool:
    return True


def _of_reduction(given: Given) -> bool:
    return bool(given["reduction"] != _NO_REDUCTION)


_RAISING: dict[str, tuple[str, Callable[[Given], bool]]] = {
    "aten::avg_pool3d_backward": ("avg_pool3d_backward_cuda", _always),
    "aten::_adaptive_avg_pool2d_backward": ("adaptive_avg_pool2d_backward_cuda", _always),
    "aten::_adaptive_avg_pool3d_backward": ("adaptive_avg_pool3d_backward_cuda", _always),
    "aten::adaptive_max_pool2d_backward": ("adaptive_max_pool2d_backward_cuda", _always),
    "aten::fractional_max_pool2d_backward": ("fractional_max_pool2d_backward_cuda", _always),
    "aten::fractional_max_pool3d_backward": ("fractional_max_pool3d_backward_cuda", _always),
    "aten::max_unpool2d": ("max_unpooling2d_forward_out", _always),  # one-dimensional ones are of these
    "aten::max_unpool3d": ("max_unpooling3d_forward_out", _always),
    "aten::upsample_linear1d_backward": ("upsample_linear1d_backward_out_cuda", _always),
    "aten::upsample_bilinear2d_backward": ("upsample_bilinear2d_backward_out_cuda", _always),
    "aten::_upsample_bilinear2d_aa_backward": ("upsample_bilinear2d_aa_backward_out_cuda", _always),
    "aten::upsample_bicubic2d_backward": ("upsample_bicubic2d_backward_out_cuda", _always),
    "aten::_upsample_bicubic2d_aa_backward": ("upsample_bicubic2d_aa_backward_out_cuda", _always),
    "aten::upsample_trilinear3d_backward": ("upsample_trilinear3d_backward_out_cuda", _always),
    "aten::reflection_pad1d_backward": ("reflection_pad1d_backward_out_cuda", _always),
    "aten::reflection_pad2d_backward": ("reflection_pad2d_backward_cuda", _always),
    "aten::reflection_pad3d_backward": ("reflection_pad3d_backward_out_cuda", _always),
    "aten::nll_loss2d_forward": ("nll_loss2d_forward_out_cuda_template", _of_reduction),
    "aten::_ctc_loss_backward": ("ctc_loss_backward_gpu", _always),
    "aten::_embedding_bag_backward": (
        "embedding_bag_backward_cuda_max",
        lambda given: bool(given["mode"] == _MAX_MODE),
    ),
    "aten::put": ("put_", _always),
    "aten::put_": ("put_", _always),
    "aten::histc": ("_histc_cuda", _always),
    "aten::bincount": ("_bincount_cuda", lambda given: given.get("weights") is not None),
    "aten::median": ("median CUDA with indices output", lambda given: "dim" in given),
    "aten::nanmedian": ("nanmedian CUDA with indices output", lambda given: "dim" in given),
    "aten::grid_sampler_2d_backward": ("grid_sampler_2d_backward_cuda", _always),
    "aten::grid_sampler_3d_backward": ("grid_sampler_3d_backward_cuda", _always),
    "aten::scatter_reduce": ("scatter_reduce_prod_cuda", lambda given: bool(given["reduce"] == "prod")),
    "aten::scatter_reduce_": ("scatter_reduce_prod_cuda", lambda given: bool(given["reduce"] == "prod")),
}


def refused_kernel(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The kernel that CUDA refuses to run in torch's deterministic mode, "" for an operator that it runs.

    Args:
        func: an operator, as a mode of `torch.utils._python_dispatch` is given it.
        args: what it is called with.
        kwargs: the same, by name.
    """
    kernel, refuses = _RAISING.get(func._schema.name, ("", _always))
    if not kernel:
        return ""
    names = (argument.name for argument in func._schema.arguments)
    return kernel if refuses({**dict(zip(names, args, strict=False)), **kwargs}) else ""


def is_linear(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call is a bilinear or trilinear `interpolate`, which torch computes by indexing in the mode."""
    if func is not F.interpolate:
        return False
    given = signature(F.interpolate).bind(*args, **kwargs).arguments
    return given.get("mode") in ("bilinear", "trilinear") and not given.get("antialias")


def interpolate_by_index(*args: Any, **kwargs: Any) -> Tensor:
    """Such a call as torch makes it for a tensor that is not on the CPU."""
    given = signature(F.interpolate).bind(*args, **kwargs).arguments
    size, factor = given.get("size"), given.get("scale_factor")
    dims = given["input"].dim() - 2
    made: Tensor = _upsample_linear_vec(
        given["input"], _each(size, dims), bool(given.get("align_corners")), _each(factor, dims)
    )
    return made


def _each(value: Any, dims: int) -> list[Any] | None:
    if value is None:
        return None
    return list(value) if isinstance(value, (list, tuple)) else [value] * dims
