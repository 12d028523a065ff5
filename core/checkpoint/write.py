"""Writing a checkpoint: a folder that is whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

import umbel
from umbel.errors import CheckpointError

MANIFEST = "manifest.json"
STATE = "state.json"
LATEST = "latest"


def write_checkpoint(
    root: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], keep: int = 2
) -> Path:
    """Write `root/step-NNNNNNNN` under a temporary name, flush it to disk, then rename it into place.

    Args:
        root: folder of all checkpoints of a run.
        step: optimizer steps done.
        tensors: file stem to named tensors; each becomes a .safetensors file.
        state: JSON types.
        keep: newest checkpoints that stay; those named by `best` files stay as well.

    Returns:
        The folder.

    Raises:
        CheckpointError: if the disk refuses; earlier checkpoints are untouched and nothing half-written is left.
    """
    final = checkpoint_folder(root, step)
    temporary = root / f"{final.name}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        temporary.mkdir(parents=True)
        files = {}
        for stem, named in tensors.items():
            content = save({name: _detached(value) for name, value in named.items()})
            files[f"{stem}.safetensors"] = _write_durably(temporary / f"{stem}.safetensors", content)
        files[STATE] = _write_durably(temporary / STATE, json.dumps(state, indent=1, allow_nan=False).encode())
        manifest = {"umbel": umbel.__version__, "step": step, "files": files}
        _write_durably(temporary / MANIFEST, json.dumps(manifest, indent=1).encode())
        _flush_folder(temporary)
        if final.exists():
            shutil.rmtree(final)
        os.rename(temporary, final)
        _flush_folder(root)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise _refusal(final, error) from None
    point_to(root, LATEST, final)
    _retire(root, keep)
    return final


def point_to(root: Path, name: str, checkpoint: Path) -> None:
    """Make the small file `root/name` hold the name of a checkpoint; replaced in one step.

    Raises:
        CheckpointError: if the disk refuses; the file is as it was.
    """
    temporary = root / f".{name}.tmp"
    try:
        _write_durably(temporary, checkpoint.name.encode())
        os.replace(temporary, root / name)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _refusal(root / name, error) from None


def checkpoint_folder(root: Path, step: int) -> Path:
    """Where the checkpoint of a step is, or would be."""
    return root / f"step-{step:08d}"


def checkpoint_folders(root: Path) -> list[Path]:
    """Committed checkpoint folders, newest first."""
    return sorted((p for p in root.glob("step-*") if p.is_dir() and ".tmp-" not in p.name), reverse=True)


def _retire(root: Path, keep: int) -> None:
    pinned = {path.read_text(errors="replace").strip() for path in root.glob("best*") if path.is_file()}
    for folder in checkpoint_folders(root)[keep:]:
        if folder.name not in pinned:
            shutil.rmtree(folder, ignore_errors=True)
    for leftover in root.glob("step-*.tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _refusal(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"cannot be saved: {error.strerror or error}", where=str(path), hint="earlier checkpoints are untouched"
    )


def _detached(value: Tensor) -> Tensor:
    """A contiguous CPU copy that shares memory with no other: tied weights are written once a name."""
    return value.detach().to("cpu", copy=True).contiguous()


def _write_durably(path: Path, content: bytes) -> dict[str, Any]:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
