"""Reading a checkpoint: verified against its manifest, with a fall-back to the newest good one."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from torch import Tensor

from umbel.checkpoint.tensors import load_tensors
from umbel.checkpoint.write import LATEST, MANIFEST, STATE, checkpoint_folders
from umbel.errors import CheckpointError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint folder.

    Args:
        path: the folder.
        step: optimizer steps done when it was written.
        state: its JSON state.
    """

    path: Path
    step: int
    state: dict[str, Any]

    def tensors(self, stem: str) -> dict[str, Tensor]:
        """Named tensors of one of its files; empty if it has no such file."""
        file = self.path / f"{stem}.safetensors"
        return load_tensors(file) if file.exists() else {}


def open_checkpoint(folder: Path) -> Checkpoint:
    """Verify a checkpoint folder: every file of the manifest is there, of the right size and SHA-256.

    Raises:
        CheckpointError: naming the file at fault.
    """
    manifest = _read_json(folder / MANIFEST)
    files = manifest.get("files")
    if not _is_listing(files) or not isinstance(manifest.get("step"), int):
        raise CheckpointError("is not a checkpoint manifest", where=str(folder / MANIFEST))
    for name, expected in files.items():
        _verify(folder / name, expected)
    return Checkpoint(folder, manifest["step"], _read_json(folder / STATE))


def find_checkpoint(root: Path, name: str = LATEST) -> Checkpoint:
    """The newest good checkpoint of a run, or the one that `root/name` points to.

    `latest` is only a hint: if what it names is damaged, the newest that verifies is taken, with a warning.

    Raises:
        CheckpointError: if there is none, or the one asked for by name is damaged.
    """
    pointer = root / name
    if name != LATEST:
        if not pointer.is_file():
            raise CheckpointError(f"there is no checkpoint '{name}'", where=str(root))
        return open_checkpoint(root / pointer.read_text(errors="replace").strip())
    damaged = []
    for folder in checkpoint_folders(root):
        try:
            checkpoint = open_checkpoint(folder)
        except CheckpointError as error:
            log.warning("skipped a damaged checkpoint: %s", error)
            damaged.append(str(error))
            continue
        return checkpoint
    reason = f"; damaged: {'; '.join(damaged)}" if damaged else ""
    raise CheckpointError(f"no usable checkpoint{reason}", where=str(root), hint="train first, or check the path")


def _is_listing(files: Any) -> TypeGuard[dict[str, dict[str, Any]]]:
    return isinstance(files, dict) and STATE in files and all(isinstance(entry, dict) for entry in files.values())


def _verify(path: Path, expected: dict[str, Any]) -> None:
    if not path.is_file():
        raise CheckpointError("is missing from the checkpoint", where=str(path))
    size = path.stat().st_size
    if size != expected.get("bytes"):
        raise CheckpointError(f"has {size:,} bytes, the manifest says {expected.get('bytes')}", where=str(path))
    try:
        digest = _sha256(path)
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    if digest != expected.get("sha256"):
        raise CheckpointError("is damaged: its SHA-256 differs from the manifest's", where=str(path))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError("is missing from the checkpoint", where=str(path)) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=str(path)) from None
    if not isinstance(content, dict):
        raise CheckpointError("does not hold a JSON object", where=str(path))
    return content
