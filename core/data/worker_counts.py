"""How many processes load each task's or source's training data: as the recipe says or, for `workers: auto`, by rule.

No result depends on the number: order, augmentation and substitutes are functions of the seed and the step.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umbel.contract.task import Task
from umbel.contract.task_config import AUTO, TaskConfig
from umbel.io.cpus import available_cpus, local_processes
from umbel.io.text import size_text

PREFETCH = 2  # batches that a process has loaded ahead

MOST = 4  # processes a task: an image of 2048 x 2048 takes 17 ms, so four load 230 of them a second

_BYTES_A_PIXEL = 3 + 8  # an image, and a label map of the widest type

_SHM = Path("/dev/shm")

log = logging.getLogger(__name__)


def worker_counts(configs: Mapping[str, TaskConfig], device_type: str) -> dict[str, int]:
    """Loading processes of each task, and of each source in the place of its tasks.

    Args:
        configs: of the tasks that are trained, by name.
        device_type: "cuda" or "cpu": where the model computes.
    """
    configs = {config.source or name: config for name, config in configs.items()}  # those of a source say the same
    ranks, free = local_processes(), _shared_memory_free()
    wanted = auto_workers(device_type, available_cpus() // ranks, len(configs))
    counts = {name: wanted if config.workers == AUTO else int(config.workers) for name, config in configs.items()}
    autos = [name for name, config in configs.items() if config.workers == AUTO]
    given = sum(shared_memory(configs[name], count) for name, count in counts.items() if name not in autos)
    for count in range(wanted, -1, -1):  # where batches on their way would not fit, fewer are
        counts.update(dict.fromkeys(autos, count))
        needed = ranks * (given + sum(shared_memory(configs[name], count) for name in autos))
        if free is None or needed <= free // 2:
            break
    if counts != {**counts, **dict.fromkeys(autos, wanted)}:
        log.warning(
            "workers: auto is %d instead of %d, since %s has %s free; more (`docker run --shm-size=8g`) loads faster",
            counts[autos[0]], wanted, _SHM, size_text(free or 0),
        )  # fmt: skip
    return counts


def auto_workers(device_type: str, cpus: int, tasks: int) -> int:
    """Processes a task for `workers: auto`.

    A GPU waits for whatever is not loaded beside it. A CPU computes on all of its cores: one process a task loads
    ahead, and more would take from the model what they give.

    Args:
        device_type: "cuda" or "cpu".
        cpus: of this process, its share where several are on one machine; of a single one nothing is to be had.
        tasks: that are trained.
    """
    if cpus <= 1:
        return 0
    return max(1, min(MOST, cpus // max(1, tasks))) if device_type == "cuda" else 1


def reads_ahead(tasks: Mapping[str, Task[Any]]) -> bool:
    """Whether evaluation and prediction read in a thread of their own, ahead of the model: not if `workers` is 0, nor,
    where it is auto, on a single CPU."""
    workers = [task.config.workers for task in tasks.values()]
    if any(count not in (0, AUTO) for count in workers):
        return True
    return AUTO in workers and available_cpus() // local_processes() > 1


def counts_text(counts: Mapping[str, int]) -> str:
    """ "road 1, cars 1, signs 0"."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def shared_memory(config: TaskConfig, workers: int) -> int:
    """Bytes of shared memory that the batches of a task on their way take at most, about: each process has `PREFETCH`
    of them under way, and one more of each is in use."""
    height, width = config.input_size
    return workers * (PREFETCH + 1) * config.batch_size * height * width * _BYTES_A_PIXEL


def _shared_memory_free() -> int | None:
    try:
        facts = os.statvfs(_SHM)
    except OSError:
        return None
    return facts.f_bavail * facts.f_frsize
