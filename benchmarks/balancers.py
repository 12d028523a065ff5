"""What each balancer does to the scores of the same recipe in the same number of steps.

python benchmarks/balancers.py [--recipe street_trio] [--steps 540] [--out runs/balancers] [NAME ...] [-- KEY=VALUE ...]

All begin from equal weights, 1 for every task, for choosing weights is what a balancer is to make unnecessary;
`recipe` keeps the recipe's own. A run that is there already is not trained again. Prints scores, minutes and factors.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import umbel
from umbel.io.text import text_table
from umbel.training.balancing import factors_text

RECIPE = "recipe"  # fixed, with the recipe's own weights
NAMES = (RECIPE, "fixed", "loss_scale", "gradient_norm", "uncertainty")


def main() -> None:
    """Train what is not there yet, then print the table."""
    given = sys.argv[1:]
    cut = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(NAMES))
    parser.add_argument("--recipe", default="street_trio")
    parser.add_argument("--steps", type=int, default=540)
    parser.add_argument("--out", type=Path, default=Path("runs/balancers"))
    options = parser.parse_args(given[:cut])
    tasks = list(umbel.open_tasks(options.recipe, given[cut + 1 :])[1])
    rows = []
    for name in options.names:
        folder = options.out / name
        if not (folder / "scores.json").is_file():
            overrides = [f"train.steps={options.steps}", *given[cut + 1 :]]
            if name != RECIPE:
                overrides += [f"train.balancer.name={name}", *(f"tasks.{task}.weight=1" for task in tasks)]
            umbel.train(options.recipe, overrides, out=folder)
        scores = json.loads((folder / "scores.json").read_text())
        factors = factors_text(umbel.load(folder).runtime.model.balancer)
        rows.append((name, scores, _minutes(folder), factors))
    metrics = list(rows[0][1])
    cells = [
        (name, *("-" if scores[key] is None else f"{scores[key]:.4f}" for key in metrics), f"{minutes:.1f}", factors)
        for name, scores, minutes, factors in rows
    ]
    print(text_table(("balancer", *metrics, "minutes", "factors at the end"), cells))


def _minutes(folder: Path) -> float:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return max((line["minutes"] for line in lines if "minutes" in line), default=0.0)


if __name__ == "__main__":
    main()
