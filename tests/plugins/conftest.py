"""The plugins of plugins/ as if installed: their entry points, without touching the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from plugin_metadata import write_metadata


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder first on sys.path that holds what pip writes about every plugin; the modules are on pytest's path."""
    site = tmp_path / "site"
    write_metadata(site)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delenv("UMBEL_PLUGINS", raising=False)
    monkeypatch.delenv("UMBEL_DISABLE", raising=False)
    return site
