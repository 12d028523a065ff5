"""Which checkpoints are deleted: none before enough newer ones have been verified."""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from pathlib import Path

from umbel.checkpoint.layout import checkpoint_folders
from umbel.checkpoint.manifest import read_manifest, verify
from umbel.contract.errors import CheckpointError

log = logging.getLogger(__name__)

_Signature = tuple[tuple[str, int, int, int], ...]

_verified: dict[Path, _Signature] = {}  # what this process has read in full, as it was then


def prune(root: Path, written: Path, keep: int, keep_every: int) -> None:
    """Delete checkpoints that `keep` newer good ones make superfluous, and what interrupted saves left behind.

    A checkpoint counts as good once all its checksums have been verified; later only if its files' sizes and times
    have changed. Those that `best` files name and those of every `keep_every`-th step stay.

    Args:
        root: folder of all checkpoints of a run.
        written: the checkpoint just written, whose checksums are known to be right.
        keep: good checkpoints that stay, the newest.
        keep_every: steps between checkpoints that stay for ever; 0 for none.
    """
    try:
        _verified[written] = _signature(written)
        _prune(root, keep, keep_every)
    except (CheckpointError, OSError) as error:  # the checkpoint is written: what is left over costs only space
        log.warning("no old checkpoint is deleted: %s", error)


def _prune(root: Path, keep: int, keep_every: int) -> None:
    pinned = {path.read_text(errors="replace").strip() for path in root.glob("best*") if path.is_file()}
    good = 0
    for folder in checkpoint_folders(root):
        step = folder.name.partition(".")[0]
        superseded = folder.name != step and root / step in _verified
        if superseded or good >= keep:
            every = keep_every and int(step.removeprefix("step-")) % keep_every == 0
            if superseded or not (step in pinned or every):
                _delete(folder)
        elif _is_good(folder):
            good += 1
    for leftover in root.glob("step-*.tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _delete(folder: Path) -> None:
    """Under a temporary name first, so that nobody ever sees half of it as a checkpoint."""
    _verified.pop(folder, None)
    try:
        os.rename(folder, folder.with_name(f"{folder.name}.tmp-{uuid.uuid4().hex[:8]}"))
    except OSError as error:
        log.warning("%s cannot be deleted: %s", folder, error)


def _is_good(folder: Path) -> bool:
    try:
        signature = _signature(folder)
        if _verified.get(folder) != signature:
            verify(folder)
            _verified[folder] = signature
    except CheckpointError as error:
        log.warning("a kept checkpoint is damaged and does not count: %s", error)
        return False
    return True


def _signature(folder: Path) -> _Signature:
    """What changes when anything writes to a folder's files."""
    entries = []
    for name in sorted(["manifest.json", *read_manifest(folder)["files"]]):
        try:
            status = (folder / name).stat()
        except OSError:
            raise CheckpointError("is missing from the checkpoint", where=str(folder / name)) from None
        entries.append((name, status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(entries)
