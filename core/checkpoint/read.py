"""Reading a checkpoint: verified against its manifest, with a fall-back to the newest good one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from umbel.checkpoint.layout import LATEST, STATE, checkpoint_folders, pointed_at
from umbel.checkpoint.manifest import read_object, verify
from umbel.checkpoint.safetensors import load_tensors
from umbel.contract.errors import CheckpointError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint folder.

    Args:
        path: the folder.
        step: optimizer steps done when it was written.
        state: its JSON state.
        files: what its manifest lists; nothing else in the folder is ever read.
    """

    path: Path
    step: int
    state: dict[str, Any]
    files: frozenset[str]

    def tensors(self, stem: str) -> dict[str, Tensor]:
        """Named tensors of one of its files; empty if it has no such file."""
        name = f"{stem}.safetensors"
        return load_tensors(self.path / name) if name in self.files else {}


def open_checkpoint(folder: Path) -> Checkpoint:
    """Verify a checkpoint folder: every file of the manifest is there, of the right size and SHA-256.

    Raises:
        CheckpointError: naming the file at fault.
    """
    manifest = verify(folder)
    return Checkpoint(folder, manifest["step"], read_object(folder / STATE), frozenset(manifest["files"]))


def find_checkpoint(root: Path, name: str = LATEST, *, exact: bool = False) -> Checkpoint:
    """The newest good checkpoint of a run, or the one that `root/name` points to.

    `latest` is only a hint: if what it names is damaged, the newest that verifies is taken, with a warning; `exact`
    refuses to.

    Raises:
        CheckpointError: if there is none, or the one asked for by name is damaged.
    """
    pointer = root / name
    if name != LATEST:
        if Path(name).parts != (name,) or not pointer.is_file():
            known = [LATEST, *sorted(path.name for path in root.glob("best*"))]
            known += [folder.name for folder in checkpoint_folders(root)]
            raise CheckpointError(
                f"there is no checkpoint '{name}'", where=str(root), hint=f"there are {', '.join(known[:20])}"
            )
        return open_checkpoint(pointed_at(root, name))
    damaged = []
    for folder in checkpoint_folders(root):
        try:
            checkpoint = open_checkpoint(folder)
        except CheckpointError as error:
            if exact:
                raise
            log.warning("skipped a damaged checkpoint: %s", error)
            damaged.append(str(error))
            continue
        return checkpoint
    reason = f"; damaged: {'; '.join(damaged)}" if damaged else ""
    raise CheckpointError(f"no usable checkpoint{reason}", where=str(root), hint="train first, or check the path")


PRECISIONS = ("fp32", "bf16")


def trained_precision(checkpoint: Checkpoint) -> str:
    """The precision that a checkpoint was trained in, "fp32" or "bf16"; CheckpointError where it does not say."""
    precision = checkpoint.state.get("precision")
    if precision not in PRECISIONS:
        raise CheckpointError(
            f"says precision {precision!r} in its state, which is none of {', '.join(PRECISIONS)}",
            where=str(checkpoint.path),
            hint="it was written by another version, or is damaged: choose another checkpoint",
        )
    return str(precision)
