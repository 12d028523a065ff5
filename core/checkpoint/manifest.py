"""Whether a checkpoint folder is what its manifest says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from umbel.checkpoint.layout import MANIFEST, STATE
from umbel.contract.errors import CheckpointError
from umbel.io.files import sha256

_LARGEST = 1 << 28  # bytes of JSON: what is larger was not written by umbel

_FIRST_FORMAT = {"umbel", "step", "files"}  # manifests once had no checksum of their own


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint folder; its files are not looked at.

    Raises:
        CheckpointError: if it is missing, damaged, or of another step than the folder's name says.
    """
    path = folder / MANIFEST
    manifest = read_object(path)
    files, step = manifest.get("files"), manifest.get("step")
    if manifest.keys() != _FIRST_FORMAT and manifest.get("sha256") != own_checksum(manifest):
        raise CheckpointError("is damaged: it does not have the SHA-256 that it names", where=str(path))
    if not _is_listing(files) or not isinstance(step, int):
        raise CheckpointError("is not a checkpoint manifest", where=str(path))
    named = folder.name.partition(".")[0].removeprefix("step-")
    if named.isdecimal() and int(named) != step:
        raise CheckpointError(f"is of step {step}, its folder is called {folder.name}", where=str(path))
    for name in files:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise CheckpointError(f"lists a file outside the checkpoint: {name!r}", where=str(path))
    return manifest


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of a folder, all of whose files are there, of the right size and SHA-256.

    Raises:
        CheckpointError: naming the file at fault.
    """
    manifest = read_manifest(folder)
    for name, expected in manifest["files"].items():
        _verify_file(folder / name, expected)
    return manifest


def own_checksum(manifest: Mapping[str, Any]) -> str:
    """The SHA-256 that a manifest names as its own: of everything else in it."""
    rest = {key: value for key, value in manifest.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a checkpoint; CheckpointError if it is anything else."""
    try:
        if not path.is_file():  # reading a pipe or device might never end
            raise CheckpointError("is missing from the checkpoint", where=str(path))
        if path.stat().st_size > _LARGEST:
            raise CheckpointError(f"is larger than {_LARGEST:,} bytes", where=str(path))
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"cannot be read: {error}", where=str(path)) from None
    if not isinstance(content, dict):
        raise CheckpointError("does not hold a JSON object", where=str(path))
    return content


def _is_listing(files: Any) -> TypeGuard[dict[str, dict[str, Any]]]:
    return isinstance(files, dict) and STATE in files and all(isinstance(entry, dict) for entry in files.values())


def _verify_file(path: Path, expected: dict[str, Any]) -> None:
    try:
        if not path.is_file():
            raise CheckpointError("is missing from the checkpoint", where=str(path))
        size = path.stat().st_size
        if size != expected.get("bytes"):
            raise CheckpointError(f"has {size:,} bytes, the manifest says {expected.get('bytes')}", where=str(path))
        digest = sha256(path)
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    if digest != expected.get("sha256"):
        raise CheckpointError("is damaged: its SHA-256 differs from the manifest's", where=str(path))
