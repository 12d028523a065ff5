"""Writing a checkpoint: a folder that is whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from umbel.checkpoint.checksums import Blocks, Checksums
from umbel.checkpoint.layout import LATEST, MANIFEST, STATE, checkpoint_folder
from umbel.checkpoint.manifest import own_checksum
from umbel.checkpoint.retention import prune
from umbel.checkpoint.safetensors import safetensors_blocks
from umbel.contract.errors import CheckpointError
from umbel.io.files import sha256
from umbel.io.text import size_text
from umbel.version import __version__

_MARGIN = 1.1  # space asked for, per byte to write


def write_checkpoint(
    root: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    *,
    keep: int = 2,
    keep_every: int = 0,
    fill: Callable[[Path], None] | None = None,
) -> Path:
    """Write `root/step-NNNNNNNN` under a temporary name, flush it to disk, then rename it into place.

    Args:
        root: folder of all checkpoints of a run.
        step: optimizer steps done.
        tensors: file stem to named tensors; each becomes a .safetensors file.
        state: JSON types.
        keep: newest good checkpoints that stay; those named by `best` files stay as well.
        keep_every: checkpoints of these steps stay for ever; 0 for none.
        fill: adds further files to the temporary folder, which are flushed and listed too.

    Returns:
        The folder.

    Raises:
        CheckpointError: if the disk refuses; earlier checkpoints are untouched and nothing half-written is left.
    """
    final, temporary = checkpoint_folder(root, step), temporary_folder(root, step)
    streams = {f"{stem}.safetensors": partial(safetensors_blocks, named) for stem, named in tensors.items()}
    checksums = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        _check_space(root, sum(value.nbytes for named in tensors.values() for value in named.values()))
        temporary.mkdir()
        checksums = Checksums(streams)
        sizes = {name: _write_durably(temporary / name, blocks()) for name, blocks in streams.items()}
        files = {}
        if fill is not None:
            fill(temporary)
            files = _flush_files(temporary, sizes)
        files |= {name: {"bytes": size, "sha256": checksums.of(name)} for name, size in sizes.items()}
        commit(temporary, final, step, state, files)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise refusal(final, error) from None
    finally:
        if checksums is not None:
            checksums.stop()
    point_to(root, LATEST, final)
    prune(root, final, keep, keep_every)
    return final


def temporary_folder(root: Path, step: int) -> Path:
    """A new name under which nobody takes a folder for a checkpoint; what an interrupted save leaves is removed."""
    return root / f"{checkpoint_folder(root, step).name}.tmp-{uuid.uuid4().hex[:8]}"


def commit(temporary: Path, final: Path, step: int, state: Mapping[str, Any], files: Mapping[str, Any]) -> None:
    """Complete a folder by its state and manifest, and rename it into place; OSError leaves what was there.

    Args:
        temporary: holds the other files, flushed.
        final: name of the checkpoint, which one of the same step may have.
        step: optimizer steps done.
        state: JSON types.
        files: bytes and SHA-256 of the other files, by name.
    """
    replaced = final.with_name(f"{final.name}.old-{uuid.uuid4().hex[:8]}")
    content = json.dumps(state, indent=1, allow_nan=False).encode()
    _write_durably(temporary / STATE, [content])
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest: dict[str, Any] = {"umbel": __version__, "step": step, "files": {**files, STATE: entry}}
    manifest["sha256"] = own_checksum(manifest)
    _write_durably(temporary / MANIFEST, [json.dumps(manifest, indent=1).encode()])
    _flush_folder(temporary)
    try:
        if final.exists():
            os.rename(final, replaced)
        os.rename(temporary, final)
        _flush_folder(final.parent)
    except OSError:
        with suppress(OSError):  # under either name it is found
            if replaced.exists() and not final.exists():
                os.rename(replaced, final)
        raise


def point_to(root: Path, name: str, checkpoint: Path) -> None:
    """Make the small file `root/name` hold the name of a checkpoint; replaced in one step.

    Raises:
        CheckpointError: if the disk refuses; the file is as it was.
    """
    temporary = root / f".{name}.tmp"
    try:
        _write_durably(temporary, [checkpoint.name.encode()])
        os.replace(temporary, root / name)
    except OSError as error:
        with suppress(OSError):  # a disk that has become read-only does not delete either
            temporary.unlink(missing_ok=True)
        raise refusal(root / name, error) from None


def refusal(path: Path, error: OSError) -> CheckpointError:
    """What is said of a disk that does not take what is written to a path."""
    return CheckpointError(
        f"cannot be saved: {error.strerror or error}", where=str(path), hint="earlier checkpoints are untouched"
    )


def _check_space(root: Path, needed: int) -> None:
    free = shutil.disk_usage(root).free
    if free < needed * _MARGIN:
        raise OSError(f"it needs {size_text(needed * _MARGIN)} and {size_text(free)} are free")


def _write_durably(path: Path, blocks: Blocks) -> int:
    """Write and flush a file; how many bytes it has."""
    size = 0
    with path.open("wb") as file:
        for block in blocks:
            file.write(block)
            size += len(block)
        file.flush()
        os.fsync(file.fileno())
    return size


def _flush_files(folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """Flush the files that others wrote, and list them by their path in the folder."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name not in known:
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[name] = {"bytes": path.stat().st_size, "sha256": sha256(path)}
    for path in (path for path in folder.rglob("*") if path.is_dir()):
        _flush_folder(path)
    return files


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
