"""Checkpoints with another content that their manifests agree with."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from umbel.checkpoint.manifest import own_checksum


def forge(folder: Path, name: str, content: bytes) -> None:
    """Another content of a file of a checkpoint, with a manifest that agrees with it."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest["sha256"] = own_checksum(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
