"""Names in a run's folder of checkpoints."""

from __future__ import annotations

import re
from pathlib import Path

MANIFEST = "manifest.json"

STATE = "state.json"

LATEST = "latest"

_COMMITTED = re.compile(r"step-(\d+)(\.old-\w+)?")


def checkpoint_folder(root: Path, step: int) -> Path:
    """Where the checkpoint of a step is, or would be."""
    return root / f"step-{step:08d}"


def checkpoint_folders(root: Path) -> list[Path]:
    """Committed checkpoint folders, newest first; one that was being replaced comes after what replaced it."""
    named = [(path, _COMMITTED.fullmatch(path.name)) for path in root.glob("step-*") if path.is_dir()]
    ranked = [((int(match[1]), match[2] is None), path) for path, match in named if match]
    return [path for _, path in sorted(ranked, reverse=True)]


def pointed_at(root: Path, name: str) -> Path:
    """The folder that the small file `root/name` names; where that was being replaced, what it was replaced from."""
    target = (root / name).read_text(errors="replace").strip()
    kept = [path for path in checkpoint_folders(root) if path.name.partition(".")[0] == target]
    return kept[0] if kept else root / target


def last_checkpoint_text(root: Path) -> str:
    """Where a run that ends without a save goes on, for people."""
    folders = checkpoint_folders(root)
    if not folders:
        return "no checkpoint was saved"
    step = int(folders[0].name.removeprefix("step-").partition(".")[0])
    return f"the checkpoint of step {step} is good: the same command with --resume goes on from it"
