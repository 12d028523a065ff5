"""umbel submit."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run")
@click.argument("images", nargs=-1, type=click.Path(path_type=Path))
@click.option("--split", default="val", show_default=True, help="Without IMAGES: the split of each task's own data.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Take the split from this folder in the challenge's layout."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("pred_results.json"), show_default=True)
@click.option(
    "--task", "names", multiple=True, metavar="NAME", help="Only this task; may be given again. Default: all."
)
@click.option("--list-form", is_flag=True, help="cls and seg as lists of one-key objects.")
@click.option("--compat-road", is_flag=True, help="Class 0 covers the whole image, as in the organisers' own files.")
@click.option("--checkpoint", default="latest", show_default=True, metavar="NAME|DIR")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the recipe; may be given again.")
def submit(
    *,
    run: str,
    images: tuple[Path, ...],
    split: str,
    data: Path | None,
    out: Path,
    names: tuple[str, ...],
    list_form: bool,
    compat_road: bool,
    checkpoint: str,
    overrides: tuple[str, ...],
) -> None:
    """Predict with a trained RUN and write the challenge's submission file.

    Predicts a split of the run's own data, IMAGES (files and folders) with every task, or the split of a --data folder.
    Detections call images by the ids of their annotations; where there are none, 1, 2, 3, ... in order.
    """
    if images and data is not None:
        raise click.UsageError("give IMAGES or --data")
    if data is None and split not in ("train", "val"):
        raise click.UsageError(f"the split {split!r} needs --data: a run's own data has train and val")
    from umbel import say, writing

    with writing(out.parent, [out.name], "submission"):
        _submit(
            run,
            images,
            split=split,
            data=data,
            out=out,
            names=names,
            list_form=list_form,
            compat_road=compat_road,
            checkpoint=checkpoint,
            overrides=overrides,
        )
    say(out)


def _submit(
    run: str, images: tuple[Path, ...], *, split: str, data: Path | None, out: Path, names: tuple[str, ...],
    list_form: bool, compat_road: bool, checkpoint: str, overrides: tuple[str, ...],
) -> None:  # fmt: skip
    from umbel import load, load_datasets
    from umbel_challenge.collect import collect, sections_of
    from umbel_challenge.images import of_dataset, of_layout, of_paths
    from umbel_challenge.submission import write_submission

    trained = load(run, checkpoint, overrides)
    chosen = {}
    for section, name in sections_of(trained.recipe, names).items():
        if images:
            chosen[section] = (name, of_paths(images))
        elif data is not None:
            chosen[section] = (name, of_layout(data, section, split))
        else:
            chosen[section] = (name, of_dataset(load_datasets({name: trained.tasks[name]}, split)[name]))
    write_submission(out, collect(trained, chosen, compat_road=compat_road), list_form=list_form)
