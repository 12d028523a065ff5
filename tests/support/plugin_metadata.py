"""What pip writes about the plugins of plugins/ when it installs them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path for path in (ROOT / "plugins").glob("umbel-*") if (path / "pyproject.toml").is_file())


def write_metadata(site: Path) -> None:
    """Write name, version and entry points of every plugin into a folder, to be put on sys.path."""
    for folder in FOLDERS:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        (entry_points,) = re.findall(
            r'^\[project\.entry-points\."umbel\.v1"\]\n(.*?)^$', text, re.MULTILINE | re.DOTALL
        )
        (version,) = re.findall(r'^version = "(.*)"$', text, re.MULTILINE)
        info = site / f"{folder.name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {folder.name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("[umbel.v1]\n" + entry_points.replace('"', ""))
