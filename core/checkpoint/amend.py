"""Changing what a checkpoint's state says, without writing its tensors again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umbel.checkpoint.layout import STATE, checkpoint_folder
from umbel.checkpoint.manifest import read_manifest, read_object
from umbel.checkpoint.retention import prune
from umbel.checkpoint.write import commit, refusal, temporary_folder


def amend_checkpoint(root: Path, step: int, changes: Mapping[str, Any], *, keep: int, keep_every: int) -> Path:
    """Replace the checkpoint of a step by one with the same tensors, in the same way as it was written: the disk has
    either one whole.

    Args:
        root: folder of all checkpoints of a run.
        step: of a checkpoint that is there.
        changes: entries of its state, JSON types.
        keep: as for `write_checkpoint`.
        keep_every: as for `write_checkpoint`.

    Returns:
        The folder.

    Raises:
        CheckpointError: if the disk refuses; the checkpoint is as it was.
    """
    final, temporary = checkpoint_folder(root, step), temporary_folder(root, step)
    files = {name: entry for name, entry in read_manifest(final)["files"].items() if name != STATE}
    state = {**read_object(final / STATE), **changes}
    try:
        temporary.mkdir()
        for name in files:
            _same_file(final / name, temporary / name)
        commit(temporary, final, step, state, files)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise refusal(final, error) from None
    prune(root, final, keep, keep_every)
    return final


def _same_file(source: Path, target: Path) -> None:
    """A second name for a file; a flushed copy on a file system that has no such thing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        with target.open("rb") as copied:
            os.fsync(copied.fileno())
