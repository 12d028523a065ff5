"""umbel predict."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--task", "names", multiple=True, metavar="NAME", help="Only this task; may be given again. Default: all."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("predictions"), show_default=True)
@click.option("--checkpoint", default="latest", show_default=True, metavar="NAME")
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: what the run was trained on.")
def predict(
    run: Path, paths: tuple[Path, ...], names: tuple[str, ...], out: Path, checkpoint: str, device: str | None
) -> None:
    """Predict images or folders of images with a trained RUN: an annotated picture and JSON entry an image and task."""
    from umbel.api import load
    from umbel.prediction import predict_files
    from umbel.trained import select_tasks

    trained = load(run, checkpoint, [f"train.device={device}"] if device else [])
    for path in predict_files(trained.runtime, select_tasks(trained.tasks, names), paths, out):
        click.echo(path)
