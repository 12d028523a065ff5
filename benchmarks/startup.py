"""Start-up of the command line: help and plugins beside a bare interpreter, as whole processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from measure import arguments, medians, side_by_side
from report import Claim, publish

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "umbel --help": [sys.executable, "-m", "umbel", "--help"],
    "umbel plugins": [sys.executable, "-m", "umbel", "plugins"],
}


def process(command: list[str]) -> Callable[[], object]:
    return lambda: subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    quick = arguments(__doc__).quick
    runs = {name: process(command) for name, command in COMMANDS.items()}
    seconds = medians(side_by_side(runs, 1 if quick else 9))
    bare, *commands = COMMANDS
    rows = [(name, f"{value:.3f}", f"{value / seconds[bare]:.1f}") for name, value in seconds.items()]
    claims = [Claim(f"`{name}` in seconds", seconds[name], 1.0) for name in commands]
    claims += [Claim(f"`{name}` / `{bare}`", seconds[name] / seconds[bare], 5.0) for name in commands]
    publish("startup", ("command", "median s", f"x {bare}"), rows, claims)


if __name__ == "__main__":
    main()
