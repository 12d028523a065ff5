"""umbel check."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from umbel.cli.found import found_plugins
from umbel.cli.targets import RECIPE, look_early
from umbel.io.say import say

if TYPE_CHECKING:
    from umbel.config.schema import Recipe
    from umbel.registry.plugins import Plugins


@click.command()
@click.argument("recipe", type=RECIPE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Draw augmented training samples with their labels, DIR/TASK.jpg.",
)
@click.option("--data", "all_data", is_flag=True, help="Read all data instead, and name every file at fault.")
@click.option("--json", "json_file", metavar="FILE", help="With --data: write the report as JSON; - for stdout.")
@click.option("--workers", type=click.IntRange(0, 256), default=2, help="With --data: processes that read; default 2.")
def check(
    *,
    recipe: str,
    overrides: tuple[str, ...],
    pictures: Path | None,
    all_data: bool,
    json_file: str | None,
    workers: int,
) -> None:
    """Build everything RECIPE names and push one batch of every task through, without training.

    With --data: read all images and labels of all splits. Nothing is written to the data. Exit code 1 if anything is
    at fault.
    """
    from umbel.config.load import load_recipe
    from umbel.config.targets import check_folder

    if json_file is not None and not all_data:
        raise click.UsageError("--json belongs to --data")
    if pictures is not None:
        check_folder(pictures)
    look_early(recipe, overrides)
    found = found_plugins()
    loaded = load_recipe(recipe, overrides, found)
    typed = loaded.typed
    if pictures is not None:  # first: should the trial fail, they may show why
        draw_samples(typed, found, pictures)
    if all_data:
        from umbel.cli.check_data import print_data_report

        raise click.exceptions.Exit(print_data_report(typed, found, workers, json_file))
    from umbel.cli.statistics import echo_statistics
    from umbel.data.worker_counts import counts_text
    from umbel.io.text import text_table
    from umbel.workflows.check.preflight import preflight
    from umbel.workflows.plan.predicted import naming_prediction, predicted_for

    with naming_prediction(partial(predicted_for, recipe, overrides)):
        report = preflight(loaded)
    header = ("task", "train", "val", "batch", "images", "loss", "steps/epoch", "s/step", "peak MiB")
    rows = [
        (
            row.task, str(row.train_samples), str(row.val_samples), str(row.batch_size),
            "x".join(map(str, row.image_shape)), f"{row.loss:.4f}", f"{row.steps_per_epoch:.1f}",
            f"{row.seconds:.2f}", f"{row.peak_mib:.0f}",
        )
        for row in report.tasks
    ]  # fmt: skip
    click.echo(text_table(header, rows))
    peak = "of the whole process up to then" if report.device == "cpu" else "of the same, with the weights"
    click.echo(f"s/step: forward and backward of that task alone, the second time; peak MiB: {peak}")
    for name, text in report.sources.items():
        click.echo(f"source {name}: {text}")
    click.echo(f"{report.parameters:,} parameters ({report.backbone_parameters:,} in the backbone), {report.precision}")
    click.echo(f"{report.total_steps} steps of {report.images_per_step} images")
    click.echo(f"loading processes here: {counts_text(report.workers)}")
    echo_statistics(typed, found)


def draw_samples(recipe: Recipe, found: Plugins, folder: Path) -> None:
    """Draw augmented training samples of every task with their labels and print the files."""
    from umbel.config.build import build_tasks
    from umbel.data.datasets import load_datasets
    from umbel.data.sources import open_sources
    from umbel.io.written import refuse_foreign
    from umbel.workflows.check.sample_sheet import SHEETS, sheet_name, write_sheet

    tasks = build_tasks(recipe, found)
    refuse_foreign(folder, [sheet_name(task) for task in tasks.values()], SHEETS)
    datasets = load_datasets(tasks, "train")
    sources = open_sources(recipe.sources, tasks, datasets)
    for name, dataset in datasets.items():
        source = sources.get(tasks[name].config.source or "")
        say(write_sheet(tasks[name], dataset, recipe.train.seed, folder, source))
