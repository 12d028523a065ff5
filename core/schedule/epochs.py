"""How often each task's data is seen: the length of an epoch, and facts for the log."""

from __future__ import annotations

import math
from collections.abc import Mapping

from umbel.schedule.plan import Plan


def steps_per_epoch(plan: Plan, batches: Mapping[str, float]) -> int:
    """Steps in which every task has seen all its data at least once, windows left aside.

    Args:
        plan: which tasks take part in which step.
        batches: number of batches in one pass over each task's data.
    """
    rates = plan.rates
    return max(math.ceil(math.ceil(count) / rates[name] - 1e-9) for name, count in batches.items())


def epochs_seen(plan: Plan, batches: Mapping[str, float], step: int) -> dict[str, float]:
    """How many times each task has seen its data when `step` steps are done."""
    return {name: plan.taken(name, step) / count for name, count in batches.items()}


def passes_text(plan: Plan, batches: Mapping[str, float], step: int) -> str:
    """ "seen road 11.80 times, signs 15.00 times; per epoch of road: signs 1.27 times"."""
    seen = epochs_seen(plan, batches, step)
    counted = "seen " + ", ".join(f"{name} {times:.2f} times" for name, times in seen.items())
    if len(seen) == 1:
        return counted
    slowest = min((name for name in seen if seen[name]), key=lambda name: seen[name], default="")
    others = ", ".join(
        f"{name} {times / seen[slowest]:.2f} times" for name, times in seen.items() if slowest and name != slowest
    )
    return f"{counted}; per epoch of {slowest}: {others}" if others else counted
