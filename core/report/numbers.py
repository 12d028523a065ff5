"""Numbers as people read them, and round ticks of an axis."""

from __future__ import annotations

import math


def short(value: float | None) -> str:
    """Four digits or so: 0.6306, 12.4, 1,204, 3.2e-05, a whole number in full; a dash for what is not there."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if isinstance(value, int) or (size >= 10 and float(value).is_integer()):
        return f"{value:,.0f}"
    if size >= 1e7 or 0 < size < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if size >= 1000 else f"{value:.1f}" if size >= 10 else f"{value:.4f}"


def tick_text(value: float) -> str:
    """A tick: as few digits as it needs."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value / 1000:g}k" if abs(value) < 1e6 else f"{value:.0e}"
    return f"{value:.0e}" if abs(value) < 1e-3 else f"{value:g}"


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """About `count` round values within [low, high]."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999), default=rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]
