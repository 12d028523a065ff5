"""How long a step of the demonstration waits for its data, with `workers: auto`."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from measure import arguments
from report import Claim, milliseconds, publish

from umbel.config.load import load_recipe
from umbel.data.loader import CompositeLoader
from umbel.recipes.streets.dataset import Counts, render_dataset
from umbel.registry.plugins import Plugins
from umbel.training.engine import Engine
from umbel.training.prepare import prepare


def main() -> None:
    quick = arguments(__doc__).quick
    steps, warm_up = (2, 1) if quick else (24, 6)
    with tempfile.TemporaryDirectory() as folder:
        counts = (
            Counts(seg_train=4, seg_val=1, cls_train=6, cls_val=6, det_train=4, det_val=1)
            if quick
            else Counts(seg_train=24, seg_val=1, cls_train=60, cls_val=6, det_train=40, det_val=1)
        )
        render_dataset(Path(folder), seed=0, counts=counts)
        roots = {"road": "seg", "vehicles": "cls", "signs": "det"}
        overrides = [f"tasks.{task}.options.root={folder}/{name}" for task, name in roots.items()]
        if quick:
            overrides += [f"tasks.{task}.batch_size=2" for task in roots] + ["train.precision=fp32"]
        plugins = Plugins.discover()
        loaded = load_recipe("demo", overrides, plugins)
        run = prepare(loaded, Path(folder) / "run")
        run.runtime.model.train()
        weights = {name: task.config.weight for name, task in run.tasks.items()}
        waits, wholes = [], []
        batches = iter(CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=steps + warm_up))
        for turn in range(steps + warm_up):
            started = time.perf_counter()
            batch = next(batches)
            waited = time.perf_counter() - started
            Engine(run.runtime, run.tasks).train_step(batch, weights)
            if turn >= warm_up:
                waits.append(waited)
                wholes.append(time.perf_counter() - started)
        del batches
    share = statistics.median(wait / whole for wait, whole in zip(waits, wholes, strict=True))
    rows = [
        ("waiting for data", milliseconds(statistics.median(waits))),
        ("whole step", milliseconds(statistics.median(wholes))),
    ]
    publish("waiting", ("demo step", "median ms"), rows, [Claim("waiting / whole step", share, 0.05)])


if __name__ == "__main__":
    main()
