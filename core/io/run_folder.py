"""A run's folder: its files, and the right to write them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.contract.errors import CheckpointError, ConfigError, ElsewhereError, UmbelError
from umbel.io.lock import hold
from umbel.io.output import depend_on_run
from umbel.io.written import refuse_foreign, writing

if TYPE_CHECKING:
    import torch


RECIPE_FILE = "recipe.yaml"

SCORES_FILE = "scores.json"

PLUGINS_FILE = "plugins.json"

BAD_SAMPLES_FILE = "bad_samples.json"

DATA_FILE = "data.safetensors"

METRICS_FILE = "metrics.jsonl"

RECORD_FILE = "report.json"

REPORT_FILE = "report.html"

CHECKPOINTS = "checkpoints"

RUN, REPORT = "run", "report"  # sorts of files, for `umbel.io.written`

_NOTHING = "train first, or check the path"

_AT_ONCE = (RECIPE_FILE, PLUGINS_FILE)

_LATER = (DATA_FILE, SCORES_FILE, BAD_SAMPLES_FILE, METRICS_FILE, RECORD_FILE)


def train_command(resume: bool) -> str:
    """What the holder of a folder is called that trains in it."""
    return "umbel train --resume" if resume else "umbel train"


def refuse_taken(folder: Path) -> None:
    """ConfigError if a new run cannot be put into a folder: it holds one, or files that umbel did not write."""
    if (folder / CHECKPOINTS).exists():
        raise ConfigError("already holds a run", where=str(folder), hint="resume it, or choose another folder")
    refuse_foreign(folder, (*_AT_ONCE, *_LATER), RUN)
    refuse_foreign(folder, [REPORT_FILE], REPORT)


@contextmanager
def new_or_resumed(folder: Path, command: str, *, resume: bool) -> Iterator[None]:
    """Within it one process alone holds a folder to train in, from before anything heavy is imported.

    Of several processes rank 0 takes it in `run_folder`, once they can tell each other.
    """
    depend_on_run()
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        yield
        return
    if resume and not (folder / CHECKPOINTS).is_dir():  # without keeping out one who may begin a run here
        raise CheckpointError("no usable checkpoint", where=str(folder / CHECKPOINTS), hint=_NOTHING)
    if not resume:  # the same, of one who may go on here
        refuse_taken(folder)
    with hold(folder, command):
        if not resume:
            refuse_taken(folder)
        yield


@contextmanager
def run_folder(
    folder: Path, is_main_process: bool, all_reduce_max: Callable[[torch.Tensor], torch.Tensor], *, resume: bool
) -> Iterator[None]:
    """Within it rank 0 alone holds the folder of a run and writes the files of a run there; every rank must call it.

    Args:
        folder: of the run.
        is_main_process: whether this is rank 0.
        all_reduce_max: gives the elementwise maximum of a small tensor over all ranks.
        resume: the folder holds the run already.

    Raises:
        UmbelError: on rank 0, saying who holds the folder or what is in the way.
        ElsewhereError: on the others.
    """
    import torch

    with ExitStack() as stack:
        refusal: UmbelError | None = None
        if is_main_process:
            try:
                stack.enter_context(hold(folder, train_command(resume)))
                if not resume:
                    refuse_taken(folder)
                stack.enter_context(writing(folder, _LATER, RUN, replace=resume))
                stack.enter_context(writing(folder, [REPORT_FILE], REPORT, replace=resume))
            except UmbelError as error:
                refusal = error
        if bool(all_reduce_max(torch.tensor([float(refusal is not None)]))[0]):
            raise refusal or ElsewhereError("rank 0 may not write the folder", where=str(folder))
        yield


def written_at_once(folder: Path) -> AbstractContextManager[None]:
    """For the files that are whole before the first step: a change to them is one that somebody else has made."""
    return writing(folder, _AT_ONCE, RUN, replace=True)  # `refuse_taken` has been asked before


WEIGHTS = "model.safetensors"  # of an exported folder


@contextmanager
def hold_around(path: Path, command: str) -> Iterator[None]:
    """Within it nobody else holds the run's folder that a path lies in, if it lies in one; see `hold`."""
    run = enclosing_run(path)
    if run is None:
        yield
        return
    with hold(run, command):
        yield


def enclosing_run(path: Path) -> Path | None:
    """The run's folder that a path is in or is, if any."""
    inside = Path(os.path.abspath(path))
    return next((folder for folder in (inside, *inside.parents) if _is_run(folder)), None)


def _is_run(folder: Path) -> bool:
    return os.path.exists(folder / CHECKPOINTS) and os.path.exists(folder / RECIPE_FILE)
