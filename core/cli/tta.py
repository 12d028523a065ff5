"""umbel tta."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from umbel.cli.targets import RUN_OR_RECIPE, look_early

if TYPE_CHECKING:
    from collections.abc import Sequence

    from umbel.evaluate.tta_table import Row


SCALES = (0.8, 1.0, 1.2, 1.4, 1.6)


@click.command()
@click.argument("target", metavar="RUN|RECIPE", type=RUN_OR_RECIPE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--task", "names", multiple=True, metavar="NAME", help="Only this task; may be given again. Default: all."
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only N validation images, spread evenly.")
@click.option("--checkpoint", default="latest", show_default=True, metavar="NAME|DIR", help="As of `umbel evaluate`.")
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), help="Write the rows as CSV too.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the rows as JSON too.")
@click.option("--search", "searching", is_flag=True, help="Choose scales and flip within --budget.")
@click.option("--budget", type=click.FloatRange(min=1.0), help="Most pixels, relative to the single view.")
@click.option("--scales", "listed", metavar="A,B,...", help="Scales to choose from. Default: the recipe's and "
              + ", ".join(f"{scale:g}" for scale in SCALES) + ".")  # fmt: skip
@click.option("--write", "recipe_file", type=click.Path(path_type=Path), help="Write the choice as a recipe.")
def tta(
    *,
    target: str,
    overrides: tuple[str, ...],
    names: tuple[str, ...],
    limit: int | None,
    checkpoint: str,
    csv_file: Path | None,
    json_file: Path | None,
    searching: bool,
    budget: float | None,
    listed: str | None,
    recipe_file: Path | None,
) -> None:
    """Compare variants of test-time augmentation of a trained RUN, or of a RECIPE with the weights of --checkpoint.

    The variants are the recipe's tasks.NAME.tta_variants, or what each task makes of its tta. A view that several of
    them contain is run once. cost is in pixels relative to the single view; MP and s are of an image.
    """
    if searching != (budget is not None):
        raise click.UsageError("--search and --budget go together")
    if not searching and (listed or recipe_file):
        raise click.UsageError("--scales and --write are for --search")
    wanted = _scales(listed) if listed else None
    look_early(target, overrides)

    from umbel.io.run_folder import RECIPE_FILE, hold_around
    from umbel.io.written import write_new

    source = Path(target) / RECIPE_FILE if Path(target).is_dir() else Path(target)
    with ExitStack() as stack:  # what is in the way is said before anything is computed
        for path, what in ((csv_file, "table"), (json_file, "table"), (recipe_file, "chosen recipe")):
            if path is not None:
                stack.enter_context(hold_around(path, "umbel tta"))
                stack.enter_context(write_new(path, what, inputs=[source]))
        _compare(
            target,
            overrides,
            names=names,
            limit=limit,
            checkpoint=checkpoint,
            budget=budget,
            wanted=wanted,
            files=(csv_file, json_file, recipe_file),
        )


def _compare(
    target: str,
    overrides: tuple[str, ...],
    *,
    names: tuple[str, ...],
    limit: int | None,
    checkpoint: str,
    budget: float | None,
    wanted: list[float] | None,
    files: tuple[Path | None, Path | None, Path | None],
) -> None:
    from umbel.config.build import with_variant
    from umbel.contract.defaults import tta_variants_of
    from umbel.data.datasets import load_datasets
    from umbel.evaluate.tta_report import write_csv, write_recipe, write_rows_json
    from umbel.evaluate.tta_search import search
    from umbel.evaluate.tta_table import evaluate_variants
    from umbel.io.run_folder import RECIPE_FILE
    from umbel.predict.api import load
    from umbel.predict.load import select_tasks

    trained = load(target, checkpoint, overrides)
    tasks = select_tasks(trained.tasks, names)
    datasets = load_datasets(tasks, "val")
    mains = {name: task.main_metric for name, task in tasks.items()}
    variants = {name: task.config.tta_variants or tta_variants_of(task) for name, task in tasks.items()}
    for name, task in tasks.items():
        for variant in variants[name]:
            with_variant(task, variant)  # a wrong option is best said before the first table is computed
    tables, chosen = {}, {}
    for name, task in tasks.items():
        if budget is not None:
            scales = wanted or [*SCALES, *task.config.tta.scales]
            found = search(trained.runtime, task, datasets[name], scales=scales, budget=budget, limit=limit)
            tables[name], chosen[name], shown = found.rows, found.steps[-1].tta, found.steps
        else:
            shown = tables[name] = evaluate_variants(trained.runtime, task, variants[name], datasets[name], limit)
        click.echo(_table(name, shown, mains[name]) + "\n")
    csv_file, json_file, recipe_file = files
    if csv_file is not None:
        write_csv(csv_file, tables, mains)
    if json_file is not None:
        write_rows_json(json_file, tables, mains)
    if recipe_file is not None:
        is_run = Path(target).is_dir()
        write_recipe(recipe_file, Path(target) / RECIPE_FILE if is_run else target, overrides, chosen)


def _table(task: str, rows: Sequence[Row], main: str) -> str:
    from umbel.io.text import text_table

    metrics = [main, *(key for key in rows[0].scores if key != main)]
    cells = [[row.name, f"{row.views:g}", *(f"{row.scores[key]:.4f}" for key in metrics), *_cost(row)] for row in rows]
    return text_table([task, "views", *metrics, "cost", "MP", "s"], cells)


def _cost(row: Row) -> list[str]:
    return [f"{row.cost:.2f}", f"{row.megapixels:.3f}", f"{row.seconds:.3f}"]


def _scales(listed: str) -> list[float]:
    try:
        scales = [float(part) for part in listed.split(",")]
    except ValueError:
        raise click.BadParameter(
            f"'{listed}' is not a list of numbers such as 0.8,1.2", param_hint="--scales"
        ) from None
    if not all(0.1 <= scale <= 10 for scale in scales):
        raise click.BadParameter(f"'{listed}': scales lie in 0.1..10", param_hint="--scales")
    return scales
