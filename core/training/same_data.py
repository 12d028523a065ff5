"""The data that a run was started with, remembered in its folder and compared when it goes on."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import torch

from umbel.contract.errors import CheckpointError, DataError, UmbelError
from umbel.data.fingerprint import Fingerprint, take_fingerprint
from umbel.data.fingerprint_diff import changes
from umbel.data.fingerprint_file import read_fingerprints, write_fingerprints
from umbel.io.files import read_json, write_json
from umbel.io.run_folder import DATA_FILE

if TYPE_CHECKING:
    from umbel.training.run import Run


ACCEPTED_FILE = "accepted_changes.json"

ACCEPT = "--accept-changes (in Python accept_changes=True) goes on all the same"

_LONG = 5.0  # seconds after which the log says what took them

log = logging.getLogger(__name__)


def remember_data(run: Run) -> None:
    """Write down what the data of a run is known by."""
    write_fingerprints(run.directory / DATA_FILE, _take(run))


def check_data(run: Run, *, accept: bool) -> list[str]:
    """Compare the data with what the run was started with; every rank must call it, rank 0 looks.

    Args:
        run: about to go on.
        accept: changes are logged, and no error.

    Returns:
        The changes that were accepted, on rank 0.

    Raises:
        CheckpointError: the data has changed, on all ranks alike.
    """
    refusal: UmbelError | None = None
    found: list[str] = []
    if run.is_main_process:
        try:
            found = _compare(run)
            if found and not accept:
                refusal = CheckpointError(
                    f"was trained on other data: {'; '.join(found)}",
                    where=str(run.directory),
                    hint=f"put the data back as it was, or start a new run with --out; {ACCEPT}",
                )
        except UmbelError as error:
            refusal = error
    refused = bool(run.runtime.all_reduce_max(torch.tensor([float(refusal is not None)]))[0])
    if refused:
        raise refusal or CheckpointError("was trained on other data, as rank 0 says", where=str(run.directory))
    return found


def note_accepted(run: Run, step: int, accepted: list[str]) -> None:
    """Write down which changes a run goes on with, beside those of earlier times, and the data as it is now."""
    path = run.directory / ACCEPTED_FILE
    earlier = read_json(path) if path.exists() else []
    for change in accepted:
        log.warning("goes on at step %d although %s", step, change)
    redacted = run.secrets.redact(
        [*(earlier if isinstance(earlier, list) else []), {"step": step, "changes": accepted}]
    )
    write_json(path, redacted)


def _compare(run: Run) -> list[str]:
    path = run.directory / DATA_FILE
    if not path.exists():
        log.warning("%s: no such file; whether the data has changed cannot be told, from now on it can", path)
        return []
    now = _take(run)
    try:
        before = read_fingerprints(path)
    except DataError as error:
        return [str(error)]
    found = [f"tasks.{name}: its data was not remembered" for name in now if name not in before]
    for name, one in now.items():
        if name in before:
            found += [f"tasks.{name}: {change}" for change in changes(before[name], one)]
    return found


def _take(run: Run) -> dict[str, Fingerprint]:
    """Fingerprints by "TASK.SPLIT"; of a task that holds out a share, of the whole."""
    started = time.monotonic()
    defer = run.recipe.train.bad_samples > 0
    taken = {}
    for name, task in run.tasks.items():
        datasets = {"train": run.data.train.get(name), "val": run.data.val[name]}
        if task.config.holdout:
            datasets = {"train and val": datasets["train"] or datasets["val"]}
        for split, dataset in datasets.items():
            if dataset is not None:
                redact = run.secrets.redact
                taken[f"{name}.{split}"] = take_fingerprint(task, dataset, split, redact, defer=defer)
    if time.monotonic() - started > _LONG:
        samples = sum(one.samples for one in taken.values())
        log.info("looked through the data, %s samples, in %.0f s", f"{samples:,}", time.monotonic() - started)
    return taken
