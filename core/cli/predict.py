"""umbel predict."""

from __future__ import annotations

from pathlib import Path

import click

from umbel.cli.targets import RUN, look_early
from umbel.io.say import say
from umbel.predict.formats import FORMATS


@click.command()
@click.argument("run", type=RUN)
@click.argument(
    "paths", nargs=-1, required=True, metavar="IMAGE|FOLDER|PATTERN|VIDEO...", type=click.Path(path_type=Path)
)
@click.option(
    "--task", "names", multiple=True, metavar="NAME", help="Only this task; may be given again. Default: all."
)
@click.option("--confidence", type=float, metavar="0..1", help="Leave out boxes and classes that score lower.")
@click.option("--classes", metavar="A,B", help="Only these classes; tasks that have none of them show all of theirs.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    default=("pictures", "json"),
    show_default=True,
    help="What to write; may be given again. COCO is for boxes, masks are PNGs of class ids.",
)
@click.option(
    "--size", nargs=2, type=int, metavar="H W", help="Show all tasks the image at this size: one pass for all."
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Images in a pass.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("predictions"), show_default=True)
@click.option("--checkpoint", default="latest", show_default=True, metavar="NAME")
@click.option("--device", help="auto, cpu, cuda or cuda:N; default: what the run was trained on.")
def predict(
    *,
    run: Path,
    paths: tuple[Path, ...],
    names: tuple[str, ...],
    confidence: float | None,
    classes: str | None,
    formats: tuple[str, ...],
    size: tuple[int, int] | None,
    batch: int,
    out: Path,
    checkpoint: str,
    device: str | None,
) -> None:
    """Predict images, videos, or folders of them with a trained RUN.

    Images give a picture TASK/IMAGE.jpg and an entry in TASK.json each, videos VIDEO.mp4 and VIDEO.jsonl. A file that
    cannot be read is named in the end and the exit code is 1; all others are predicted.
    """
    import glob

    from umbel.config.targets import check_folder
    from umbel.contract.errors import DataError

    changes = [f"train.device={device}"] if device else []
    check_folder(out)
    for path in paths:
        if not path.exists() and not glob.has_magic(str(path)):
            raise DataError("no such file or folder", where=str(path))
    look_early(run, changes)
    from umbel.predict.api import load
    from umbel.predict.files import predict_files
    from umbel.predict.load import select_tasks
    from umbel.predict.predictor import Predictor

    trained = load(run, checkpoint, changes)
    wanted = tuple(name.strip() for name in (classes or "").split(",") if name.strip())
    predictor = Predictor(trained.runtime, select_tasks(trained.tasks, names), confidence, wanted, size)
    outcome = predict_files(predictor, paths, out, formats, batch)
    for path in outcome.written:
        say(path)
    if outcome.failed:
        for error in outcome.failed:
            say(f"not predicted: {error}", err=True)
        raise click.exceptions.Exit(1)
