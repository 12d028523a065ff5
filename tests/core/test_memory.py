"""Freed blocks are handed out again: touching a second block costs no page faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, sys, torch
from umbel.memory import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(77)
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def step():
    activations = [torch.ones(4 * 2**20) for _ in range(6)]
for _ in range(3):
    step()
before = faults()
for _ in range(4):
    step()
print(faults() - before)
"""


def count(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", COUNT_FAULTS, mode], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("the C library is not glibc")
    return int(done.stdout)


def test_freed_memory_is_kept() -> None:
    assert count("keep") < count("plain") / 10
