"""Bytes that each rank sends in one optimizer step at ZeRO 0 to 3, by the ring algorithms of NCCL and gloo."""

from __future__ import annotations

from collections.abc import Mapping


def step_traffic(
    elements: Mapping[str, int], stage: int, ranks: int, weight_bytes: int = 4, accumulate: int = 1
) -> int:
    """Bytes one rank sends in a step; it receives as many.

    A ring passes (ranks - 1) / ranks of a tensor through every rank for a reduce-scatter or an all-gather, twice that
    for an all-reduce. Stages 0 and 1 exchange gradients once a step however many tasks there are. Stages 2 and 3 do it
    in every backward, since that is what keeps gradients sharded: the backbone's gradients travel once a task. Stage 3
    also gathers the parameters a task uses before its forward and again before its backward.

    Args:
        elements: trained elements of the backbone, under "", and of each head by task.
        stage: 0 to 3.
        ranks: processes; with nodes in their place, what a node sends over the network.
        weight_bytes: bytes of a weight and of a gradient.
        accumulate: composite batches in a step.
    """
    backbone = elements.get("", 0)
    heads = sum(count for task, count in elements.items() if task)
    tasks = max(1, len(elements) - 1)
    once = backbone + heads
    every_backward = accumulate * (tasks * backbone + heads)
    passes = {
        0: 2 * once,  # all-reduce of gradients
        1: once + once,  # reduce-scatter of gradients, all-gather of stepped parameters
        2: every_backward + once,
        3: 3 * every_backward,  # gather, gather again, reduce-scatter
    }[stage]
    return passes * weight_bytes * (ranks - 1) // ranks
