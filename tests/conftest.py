"""Fixtures for the whole suite: no network; real data and golden numbers, skipped by name where they are absent."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("UMBEL_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Nothing that is imported, trained or tested may leave this machine."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def refuse(address: object) -> None:
        host = address[0] if isinstance(address, tuple) else ""
        if host not in ("", "localhost", "::1") and not str(host).startswith("127."):
            raise AssertionError(f"the suite reached for the network: {address!r}")

    def guarded(self: socket.socket, address: Any) -> None:
        refuse(address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        refuse(address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket.socket, "connect_ex", guarded_ex)
        yield


@pytest.fixture(autouse=True)
def _one_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """`workers: auto` is 0 in the process of a test, which may count or change what is read there."""
    if counts := sys.modules.get("umbel.data.worker_counts"):
        monkeypatch.setattr(counts, "available_cpus", lambda: 1)


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
