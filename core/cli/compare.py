"""umbel compare."""

from __future__ import annotations

from pathlib import Path

import click

from umbel.cli.targets import RECIPE, look_early


@click.command()
@click.argument("recipe", type=RECIPE)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--seeds", default="0", show_default=True, help="Seeds, each a joint model and its twins: 0,1,2")
@click.option("--steps", type=click.IntRange(min=1), help="Steps of every model; default: the recipe's.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the runs; default: runs/compare-RECIPE.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No progress on stderr.")
def compare(
    *,
    recipe: str,
    overrides: tuple[str, ...],
    seeds: str,
    steps: int | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train RECIPE and a model for each of its tasks alone, and say which tasks gain and which lose.

    Every model takes the same number of steps, so that a task sees as many images alone as beside the others. Models
    that are finished in --out are used as they are, and interrupted ones go on.
    """
    import json
    import logging

    from umbel.config.targets import check_folder

    chosen = _seeds(seeds)
    folder = out or Path("runs") / f"compare-{Path(recipe).stem}"
    check_folder(folder)
    look_early(recipe, overrides)
    from umbel.io.files import write_json
    from umbel.io.lock import hold
    from umbel.io.written import write_new
    from umbel.workflows.compare.cost import measure_cost
    from umbel.workflows.compare.models import JOINT, make_plan, train_or_reuse
    from umbel.workflows.compare.result import as_text, summarise

    if quiet:
        logging.getLogger().setLevel(logging.WARNING)
    with hold(folder, "umbel compare"), write_new(folder / "compare.json", "comparison"):
        plan = make_plan(recipe, overrides, chosen, steps, folder)
        scores = {(model.name, model.seed): train_or_reuse(plan, model, quiet=quiet) for model in plan.models}
        first = {model.name: model.directory for model in plan.models if model.seed == chosen[0]}
        cost = measure_cost(first.pop(JOINT), first)
        result = summarise(plan, chosen, scores, cost)
        write_json(folder / "compare.json", result)
    click.echo(json.dumps(result, indent=1) if as_json else as_text(result))


def _seeds(text: str) -> list[int]:
    from umbel.contract.errors import ConfigError

    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        hint = "for example 0,1,2"
        raise ConfigError(f"'{text}' is not a list of whole numbers", where="--seeds", hint=hint) from None
