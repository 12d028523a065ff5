"""The suite itself blocks the network; importing umbel and everything it brings opens no socket."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

IMPORTS = """
import socket
def refuse(*arguments):
    raise SystemExit(f"a socket was opened: {arguments}")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
import umbel, umbel.training.prepare, albumentations, timm
from umbel.registry.plugins import Plugins
for role in ("task", "backbone"):
    for registration in Plugins.discover().registered(role):
        registration.load()
"""


def test_the_suite_cannot_reach_out() -> None:
    with socket.socket() as probe, pytest.raises(AssertionError, match="reached for the network"):
        probe.connect(("192.0.2.1", 80))


@pytest.mark.slow
def test_imports_open_no_socket() -> None:
    result = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr[-800:]
