"""Batch statistics that all ranks share."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import nn


class BatchStatistics:
    """The buffers of BatchNorm: after every step each rank has their mean over the ranks, so that all judge and save
    the same. DeepSpeed would leave each rank its own.

    Attributes:
        tensors: running means and variances, and other floating buffers that are saved.
        counters: integer buffers that are saved.
    """

    def __init__(self, model: nn.Module) -> None:
        state = model.state_dict(keep_vars=True)
        buffers = [buffer for name, buffer in model.named_buffers() if name in state]
        self.tensors = [buffer for buffer in buffers if buffer.is_floating_point()]
        self.counters = [buffer for buffer in buffers if not buffer.is_floating_point()]

    @torch.no_grad()
    def average_over(self, world_size: int) -> None:
        if world_size == 1:
            return
        for buffers, operation in ((self.tensors, dist.ReduceOp.SUM), (self.counters, dist.ReduceOp.MAX)):
            if not buffers:
                continue
            flat = torch.cat([buffer.flatten() for buffer in buffers])
            dist.all_reduce(flat, operation)
            if operation == dist.ReduceOp.SUM:
                flat /= world_size
            parts = torch.split(flat, [buffer.numel() for buffer in buffers])
            for buffer, part in zip(buffers, parts, strict=True):
                buffer.copy_(part.view_as(buffer))
