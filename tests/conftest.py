"""Fixtures for the whole suite: real data and golden numbers, skipped by name where they are absent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("UMBEL_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def repository() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data and golden numbers."""
    if not SHARED.is_dir():
        pytest.skip("the real data is not here: put it at ../shared or set UMBEL_SHARED")
    return SHARED


@pytest.fixture(scope="session")
def golden(shared: Path) -> Callable[[str], dict[str, Any]]:
    """Reads golden numbers by file name."""

    def read(name: str) -> dict[str, Any]:
        path = shared / "golden" / name
        if not path.is_file():
            pytest.skip(f"golden numbers {name} are not in {shared}")
        content: dict[str, Any] = json.loads(path.read_text())
        return content

    return read
