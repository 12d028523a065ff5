"""The plugins of plugins/ as if installed: their entry points, without touching the environment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path for path in (ROOT / "plugins").glob("umbel-*") if (path / "pyproject.toml").is_file())


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder first on sys.path that holds what pip writes about every plugin; the modules are on pytest's path."""
    site = tmp_path / "site"
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
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delenv("UMBEL_PLUGINS", raising=False)
    monkeypatch.delenv("UMBEL_DISABLE", raising=False)
    return site
