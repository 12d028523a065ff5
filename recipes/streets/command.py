"""umbel demo."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder for it all."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--quick", is_flag=True, help="A minute instead of ten: fewer pictures, fewer steps, poor scores.")
@click.option("--data-only", is_flag=True, help="Render the data sets and stop.")
def demo(out: Path, seed: int, quick: bool, data_only: bool) -> None:
    """Render street scenes, train three tasks on them, evaluate, and draw examples.

    What is there already is used again: finished data sets, an interrupted run, a finished run.
    """
    from umbel import hold

    with hold(out, "umbel demo"):
        _demo(out, seed, quick, data_only)


def _demo(out: Path, seed: int, quick: bool, data_only: bool) -> None:
    from umbel import say
    from umbel.recipes.streets.dataset import Counts, render_dataset
    from umbel.recipes.streets.showcase import check_reusable, draw_examples, train_or_reuse

    overrides = [f"{key}={value}" for key, value in _overrides(out, seed, quick).items()]
    check_reusable(out / "run", overrides)
    counts = Counts(seg_train=40, seg_val=8, cls_train=60, cls_val=12, det_train=40, det_val=8) if quick else Counts()

    def show(done: int, total: int) -> None:
        if done % 200 == 0 or done == total:
            click.echo(f"street scenes: {done} of {total} pictures", err=True)

    render_dataset(out / "data", seed=seed, counts=counts, processes=os.cpu_count() or 1, progress=show)
    if data_only:
        say(out / "data")
        return
    scores = train_or_reuse(out / "run", overrides)
    for key, value in scores.items():
        click.echo(f"{key:24} {value:.4f}")
    for path in draw_examples(out / "run", out / "pictures"):
        say(path)


def _overrides(out: Path, seed: int, quick: bool) -> dict[str, str | int]:
    roots = {f"tasks.{name}.options.root": str(out / "data" / folder) for name, folder in _FOLDERS.items()}
    return {**roots, "train.seed": seed, **({"train.steps": 12} if quick else {})}


_FOLDERS = {"road": "seg", "vehicles": "cls", "signs": "det"}
