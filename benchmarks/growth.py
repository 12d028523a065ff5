"""Cost of a step over the number of tasks of equal size: time and peak activations."""

from __future__ import annotations

import numpy as np
from activations import Backwards, peak_mib
from measure import arguments, medians, side_by_side
from report import Claim, milliseconds, publish
from system import SEGMENTATION, EngineStep, new_system

COUNTS = (1, 2, 3, 5, 8)


def main() -> None:
    quick = arguments(__doc__).quick
    counts, side = ((1, 2), 64) if quick else (COUNTS, 128)
    systems = {
        count: new_system({f"task{n}": (SEGMENTATION, 2, (side, 2 * side)) for n in range(count)}) for count in counts
    }
    peaks = {count: peak_mib(system, Backwards(system)) for count, system in systems.items()}
    steps = {str(count): EngineStep(system) for count, system in systems.items()}
    times = medians(side_by_side(steps, 1 if quick else 12))
    rows = [(str(n), milliseconds(times[str(n)]), f"{peaks[n]:.1f}") for n in counts]
    slope, start = np.polyfit(counts, [times[str(n)] for n in counts], 1)
    bend = max(abs(times[str(n)] / (start + slope * n) - 1) for n in counts)
    claims = [
        Claim("largest distance of a step's time from a line in the number of tasks", float(bend), 0.05),
        Claim("peak activations, most tasks / one task", peaks[counts[-1]] / peaks[1], 1.05),
    ]
    publish("growth", ("tasks", "median ms", "peak MiB"), rows, claims)


if __name__ == "__main__":
    main()
