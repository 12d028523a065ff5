"""Keeping freed memory: time of a training step with and without it, in separate processes, in turn."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from measure import arguments, medians
from report import Claim, publish

TIME_STEPS = """
import json, sys, time
import umbel.runtime.malloc
if sys.argv[1] == "plain":
    umbel.runtime.malloc.keep_freed_memory = lambda: False
from system import EngineStep, new_system, three_tasks
step = EngineStep(new_system(three_tasks(sys.argv[2] == "quick")))
times = []
for _ in range(int(sys.argv[3])):
    started = time.perf_counter()
    step()
    times.append(time.perf_counter() - started)
print(json.dumps(times[1:]))
"""


def main() -> None:
    quick = arguments(__doc__).quick
    times: dict[str, list[float]] = {"given back": [], "kept": []}
    shares = []
    for _ in range(1 if quick else 6):
        medians_of_round = []
        for name, values in times.items():
            mode = "plain" if name == "given back" else "keep"
            command = [sys.executable, "-c", TIME_STEPS, mode, "quick" if quick else "full", "2" if quick else "7"]
            done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=sys.path[0])
            measured = json.loads(done.stdout)
            values += measured
            medians_of_round.append(statistics.median(measured))
        shares.append(medians_of_round[1] / medians_of_round[0])
    rows = [(name, f"{value:.3f}") for name, value in medians(times).items()]
    claim = Claim("step with memory kept / given back", statistics.median(shares))
    publish("memory", ("freed memory", "median s per step"), rows, [claim])


if __name__ == "__main__":
    main()
