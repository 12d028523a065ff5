"""umbel check."""

from __future__ import annotations

import click


@click.command()
@click.argument("recipe")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
def check(recipe: str, overrides: tuple[str, ...]) -> None:
    """Build everything RECIPE names and push one batch of every task through, without training."""
    from umbel.cli.tables import text_table
    from umbel.plugins import Plugins
    from umbel.preflight import preflight
    from umbel.recipe import load_recipe

    found = Plugins.discover()
    typed, tree = load_recipe(recipe, overrides, found)
    report = preflight(typed, tree, found)
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
    click.echo(f"{report.parameters:,} parameters ({report.backbone_parameters:,} in the backbone), {report.precision}")
    click.echo(f"{report.total_steps} steps of {report.images_per_step} images")
