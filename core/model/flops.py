"""Counting the floating-point operations of a task's forward and backward, by part of the model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_backward_flop_count, sdpa_flop_count

from umbel.model.model import MultiTaskModel

_Shape = list[int]


@dataclass(frozen=True)
class TaskFlops:
    """Floating-point operations of one task in an optimizer step on one device; a multiply-add counts as two.

    Convolutions, matrix products and attention count, as torch's counter has it; what is recomputed in the backward
    (gradient checkpointing) counts there, and what is frozen has no backward.
    """

    task: str
    backbone_forward: int
    backbone_backward: int
    head_forward: int
    head_backward: int

    @property
    def total(self) -> int:
        return self.backbone_forward + self.backbone_backward + self.head_forward + self.head_backward

    def times(self, count: int) -> TaskFlops:
        """Those of `count` such passes."""
        return replace(
            self,
            backbone_forward=count * self.backbone_forward,
            backbone_backward=count * self.backbone_backward,
            head_forward=count * self.head_forward,
            head_backward=count * self.head_backward,
        )


def flop_counter() -> FlopCounterMode:
    """Torch's counter, right for backwards of grouped convolutions and for attention on a CPU as well."""
    aten = torch.ops.aten
    return FlopCounterMode(
        display=False,
        custom_mapping={
            aten.convolution_backward: _convolution_backward,
            aten._scaled_dot_product_flash_attention_for_cpu: _attention,
            aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
        },
    )


def pass_flops(model: MultiTaskModel, task: str, images: Tensor) -> TaskFlops:
    """Count one forward and backward of a task from its raw outputs on; its loss is not run.

    Args:
        model: to be run as it is; under a FakeTensorMode its tensors may lack data. Gradients are added to it.
        task: whose head is run.
        images: (B, 3, H, W) as the model takes them.
    """
    with flop_counter() as counter:
        features = model.features(images, task)
        backbone_forward = counter.get_total_flops()
        cut = tuple(level.detach().requires_grad_(level.requires_grad) for level in features)
        outputs = model.heads[task](cut)
        forward = counter.get_total_flops()
        _backward([leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)])
        head = counter.get_total_flops()
        _backward([level for level, leaf in zip(features, cut, strict=True) if leaf.grad is not None])
        whole = counter.get_total_flops()
    return TaskFlops(task, backbone_forward, whole - head, forward - backbone_forward, head - forward)


def _backward(outputs: list[Tensor]) -> None:
    roots = [output for output in outputs if output.requires_grad]
    if roots:
        torch.autograd.backward(roots, [torch.empty_like(root) for root in roots])


def _convolution_backward(grad: _Shape, images: _Shape, weight: _Shape, *rest: Any, out_shape: Any) -> int:
    """Either gradient takes as many products as the forward; torch 2.14 forgets the groups in that of the weight."""
    _bias, _stride, _padding, _dilation, transposed, _output_padding, _groups, wanted = rest
    return int(sum(wanted[:2]) * conv_flop_count(images, weight, grad, transposed))


def _attention(
    query: _Shape, key: _Shape, value: _Shape, *rest: Any, out_shape: Any, attn_mask: Any = None, scale: Any = None
) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _attention_backward(
    grad: _Shape,
    query: _Shape,
    key: _Shape,
    value: _Shape,
    *rest: Any,
    out_shape: Any,
    attn_mask: Any = None,
    scale: Any = None,
) -> int:
    return int(sdpa_backward_flop_count(grad, query, key, value))  # type: ignore[no-untyped-call]
