"""How many CPUs this process may use: those it is bound to, within the quota of its container."""

from __future__ import annotations

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def available_cpus() -> int:
    """One or more: a quota of 3.5 CPUs counts as 3."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(_GROUPS)
    return max(1, bound if quota is None else min(bound, int(quota)))


def local_processes() -> int:
    """Processes of the job on this machine, as `torchrun` and `deepspeed` tell each of them; 1 without a launcher."""
    said = os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("LOCAL_SIZE") or "1"
    return max(1, int(said)) if said.isdecimal() else 1


def _quota(groups: Path) -> float | None:
    """CPUs that the container may use at a time, by control groups version 2 or 1; None where nothing limits them."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            quota, period = " ".join((groups / name).read_text(encoding="ascii") for name in names).split()
            return int(quota) / int(period) if int(quota) > 0 else None
        except (OSError, ValueError, ZeroDivisionError):  # "max" is no number
            continue
    return None
