"""umbel export."""

from __future__ import annotations

from pathlib import Path

import click

from umbel.cli.found import found_plugins
from umbel.cli.targets import RUN, look_early
from umbel.io.say import say


@click.command()
@click.argument("run", type=RUN)
@click.option("--to", "target", type=click.Choice(("onnx", "torch_export", "safetensors")), required=True)
@click.option(
    "--tasks", "names", metavar="A,B", help="Only these tasks and what they need of the backbone; default: all."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write to; default: RUN/export/TARGET.")
@click.option("--opset", type=click.IntRange(min=18), help="ONNX operator set; default: torch's.")
@click.option("--size", nargs=2, type=int, metavar="H W", help="Traced input size; default: the tasks' largest.")
@click.option("--checkpoint", default="latest", show_default=True, metavar="NAME")
def export(
    *,
    run: Path,
    target: str,
    names: str | None,
    out: Path | None,
    opset: int | None,
    size: tuple[int, int] | None,
    checkpoint: str,
) -> None:
    """Write a trained RUN as one graph of backbone and heads, or as weights, into a folder ready for a model hub.

    Programs are run beside torch on random images: the exit code is 1 if an output differs by more than 1e-4 of its
    largest value, or a decoded prediction differs.
    """
    import logging

    from umbel.config.targets import check_folder

    folder = out or run / "export" / target
    check_folder(folder)
    look_early(run)
    from umbel.config.load import load_recipe
    from umbel.contract.errors import DataError
    from umbel.evaluate.evaluate import read_scores
    from umbel.io.run_folder import RECIPE_FILE, SCORES_FILE
    from umbel.io.text import text_table
    from umbel.predict.api import load
    from umbel.predict.load import select_tasks
    from umbel.workflows.export.bundle import export_model

    trained = load(run, checkpoint, ["train.device=cpu"])
    tasks = select_tasks(trained.tasks, [name.strip() for name in (names or "").split(",") if name.strip()])
    inside = run / RECIPE_FILE
    tree = load_recipe(str(inside if inside.is_file() else run), (), found_plugins()).tree
    scores: dict[str, float] = {}
    if (run / SCORES_FILE).exists():
        try:
            scores = read_scores(run / SCORES_FILE)
        except DataError as error:  # the model is what matters
            logging.getLogger(__name__).warning("%s; the card has no scores", error)
    done = export_model(
        trained.runtime.model, tree, tasks, folder,
        target=target, name=run.resolve().name, scores=scores, opset=opset, size=size,
    )  # fmt: skip
    for file in done.files:
        say(folder / file)
    say(f"{done.parameters:,} parameters; free dimensions: {', '.join(done.dynamic) or 'none'}")
    if done.parity:
        rows = [
            (p.output, "x".join(map(str, p.shape)), f"{p.difference:.1e}", "equal" if p.predictions else "DIFFERENT")
            for p in done.parity
        ]
        click.echo(text_table(("output", "input", "largest relative difference", "predictions"), rows))
    if not all(entry.holds for entry in done.parity):
        raise click.exceptions.Exit(1)
