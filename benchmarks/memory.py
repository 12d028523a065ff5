"""Keeping freed memory: time of a training step of a recipe with and without it, in separate processes, in turn."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

REPEATS = 3
STEPS = 6
WARM_UP = 2
TIME_STEPS = """
import json, logging, sys, time
from pathlib import Path
from umbel.plugins import Plugins
from umbel.recipe import load_recipe
import umbel.run
if sys.argv[1] == "plain":
    umbel.run.keep_freed_memory = lambda: False
from umbel.data.loader import CompositeLoader
from umbel.engine import train_step
logging.disable()
plugins = Plugins.discover()
recipe, tree = load_recipe(sys.argv[2], sys.argv[5:], plugins)
run = umbel.run.prepare(recipe, tree, plugins, Path("unused"))
run.runtime.model.train()
weights = {name: task.config.weight for name, task in run.tasks.items()}
times = []
for batches in CompositeLoader(run.tasks, run.train_data, 0, 0, int(sys.argv[3])):
    started = time.perf_counter()
    train_step(run.runtime, run.tasks, batches, weights)
    times.append(time.perf_counter() - started)
print(json.dumps(times[int(sys.argv[4]):]))
"""


def main() -> None:
    recipe, *overrides = sys.argv[1:] or ["street_trio"]
    times: dict[str, list[float]] = {"plain": [], "keep": []}
    for _ in range(REPEATS):
        for mode, values in times.items():
            command = [sys.executable, "-c", TIME_STEPS, mode, recipe, str(STEPS), str(WARM_UP), *overrides]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            values += json.loads(done.stdout)
    medians = {mode: statistics.median(values) for mode, values in times.items()}
    print(f"{'allocator':10} {'median s/step':>14}")
    for mode, value in medians.items():
        print(f"{mode:10} {value:14.3f}")
    print(json.dumps({"benchmark": "memory", "recipe": recipe, "ratio": medians["keep"] / medians["plain"]}))


if __name__ == "__main__":
    main()
