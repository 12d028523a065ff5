"""Start-up: `umbel --help` and `umbel plugins` against a bare interpreter, as whole processes."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "umbel --help": [sys.executable, "-m", "umbel", "--help"],
    "umbel plugins": [sys.executable, "-m", "umbel", "plugins"],
}
REPEATS = 9


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    bare = medians["python -c pass"]
    print(f"{'command':16} {'median s':>9} {'x bare python':>14}")
    for name, value in medians.items():
        print(f"{name:16} {value:9.3f} {value / bare:14.1f}")
    print(json.dumps({"benchmark": "startup", "seconds": medians}))


if __name__ == "__main__":
    main()
