"""umbel score."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("submission", type=click.Path(path_type=Path))
@click.argument("truth", metavar="RUN|RECIPE|DIR")
@click.option(
    "--split", type=click.Choice(["train", "val"]), default="val", show_default=True, help="Split of the truth's data."
)
@click.option(
    "--formula",
    metavar="A|B|FORMULA",
    help="Leaderboard A: mean of seg, cls and dec; B: of cls and dec; or for example (road.miou + 2 * cars.top1) / 3. "
    "Default: the recipe's, or the mean of the tasks that the SUBMISSION holds.",
)
@click.option(
    "--task", "names", multiple=True, metavar="NAME", help="Only this task; may be given again. Default: all."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def score(
    *, submission: Path, truth: str, split: str, formula: str | None, names: tuple[str, ...], as_json: bool
) -> None:
    """Check a SUBMISSION file and score it against the data of a run or recipe, or DIR in the challenge's layout.

    In DIR the tasks are called seg, cls and dec.
    """
    import json

    from umbel import say
    from umbel_challenge.grade import grade
    from umbel_challenge.truth import open_truth

    recipe, tasks = open_truth(truth, split)
    scores = grade(submission, recipe, tasks, split=split, formula=formula, names=names)
    if as_json:
        click.echo(json.dumps(scores, indent=1))
        return
    for key, value in scores.items():
        say(f"{key:24} {value:.6f}")
