"""umbel evaluate."""

from __future__ import annotations

import click

from umbel.cli.targets import RUN_OR_RECIPE, look_early


@click.command()
@click.argument("target", metavar="RUN|RECIPE", type=RUN_OR_RECIPE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--checkpoint",
    default="latest",
    show_default=True,
    metavar="NAME|DIR",
    help="latest, best, best-TASK or step-NNNNNNNN of the run; or the folder of a checkpoint or run.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(target: str, overrides: tuple[str, ...], checkpoint: str, as_json: bool) -> None:
    """Score a trained RUN on its validation data, or a RECIPE with the weights of --checkpoint."""
    import json

    look_early(target, overrides)
    from umbel.cli.tables import scores_table
    from umbel.evaluate.evaluate import scores_to_json
    from umbel.predict.api import load

    scores = load(target, checkpoint, overrides).evaluate()
    click.echo(json.dumps(scores_to_json(scores), indent=1) if as_json else scores_table(scores))
