"""A run's folder: its files, and the right to write them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from umbel.errors import CheckpointError, ConfigError, ElsewhereError, UmbelError
from umbel.lock import hold
from umbel.output import depend_on_run
from umbel.written import refuse_foreign, writing

if TYPE_CHECKING:
    from umbel.run import Run

RECIPE_FILE = "recipe.yaml"
SCORES_FILE = "scores.json"
PLUGINS_FILE = "plugins.json"
BAD_SAMPLES_FILE = "bad_samples.json"
DATA_FILE = "data.safetensors"
METRICS_FILE = "metrics.jsonl"
RECORD_FILE = "report.json"
REPORT_FILE = "report.html"
CHECKPOINTS = "checkpoints"

RUN, REPORT = "run", "report"  # sorts of files, for `umbel.written`
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
def run_folder(run: Run, *, resume: bool) -> Iterator[None]:
    """Within it rank 0 alone holds the folder of a run and writes the files of a run there; every rank must call it.

    Raises:
        UmbelError: on rank 0, saying who holds the folder or what is in the way.
        ElsewhereError: on the others.
    """
    import torch

    with ExitStack() as stack:
        refusal: UmbelError | None = None
        if run.leads:
            try:
                stack.enter_context(hold(run.directory, train_command(resume)))
                if not resume:
                    refuse_taken(run.directory)
                stack.enter_context(writing(run.directory, _LATER, RUN, replace=resume))
                stack.enter_context(writing(run.directory, [REPORT_FILE], REPORT, replace=resume))
            except UmbelError as error:
                refusal = error
        if bool(run.runtime.agree(torch.tensor([float(refusal is not None)]))[0]):
            raise refusal or ElsewhereError("rank 0 may not write the folder", where=str(run.directory))
        yield


def written_at_once(folder: Path) -> AbstractContextManager[None]:
    """For the files that are whole before the first step: a change to them is one that somebody else has made."""
    return writing(folder, _AT_ONCE, RUN, replace=True)  # `refuse_taken` has been asked before
