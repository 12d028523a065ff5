"""Whether memory suffices for a large view: asked before, since Linux ends a process that takes too much."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from umbel.contract.errors import DataError
from umbel.contract.task import Task
from umbel.contract.types import Size, View
from umbel.predict.exhaustion import MEMORY
from umbel.runtime.base import Inference
from umbel.runtime.live_bytes import LiveBytes

ASKED_FROM = 2**23  # pixels of a view, 8.4 million; smaller ones are not worth the question


def check_room(
    runtime: Inference, tasks: Mapping[str, Task[Any]], image: Size, forced: Size | None, source: str
) -> None:
    """Refuse an image of which a task's view needs more memory than is free; to be run inside `runtime.eval_mode()`.

    Args:
        runtime: with the model.
        tasks: by name.
        image: height and width.
        forced: the one size of view of all tasks, in place of their own.
        source: the name of the image.

    Raises:
        DataError: of kind "memory", with both numbers.
    """
    for name, task in tasks.items():
        views = task.views(image) if forced is None else [View(forced)]
        largest = max((view.canvas or view.size for view in views), key=lambda size: size[0] * size[1])
        pixels = largest[0] * largest[1]
        free = free_bytes(runtime.device) if pixels > ASKED_FROM else None
        if free is None:
            continue
        needed = pixels * _bytes_a_pixel(runtime, task)
        if needed > free:
            raise DataError(
                f"is shown to task '{name}' at {largest[1]} x {largest[0]} pixels, which takes {needed / 1e9:.1f} GB "
                f"of memory; {free / 1e9:.1f} GB are free",
                where=source,
                hint="show it smaller, by --size H W or the task's test_size",
                kind=MEMORY,
            )


def free_bytes(device: torch.device) -> int | None:
    """Memory that can still be taken on a device, the limit of a container heeded; None where nobody says."""
    if device.type == "cuda":
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + held
    if device.type != "cpu":
        return None
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    try:
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return min(free, limit - used + int(cached["inactive_file"]))
    except (OSError, KeyError, ValueError):  # no container, or one without a limit
        return free


def _bytes_a_pixel(runtime: Inference, task: Task[Any]) -> float:
    """Peak of the tensors of backbone and head, measured at the task's input size; kernels take more for themselves."""
    height, width = task.config.input_size
    model = runtime.model
    with LiveBytes([*model.parameters(), *model.buffers()]) as live:
        runtime.forward(torch.zeros((1, 3, height, width), dtype=torch.uint8, device=runtime.device), task.name)
    return float(live.peak / (height * width))
