"""Freed blocks are handed out again: touching a second block costs no page faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, sys, torch
from umbel.runtime.malloc import keep_freed_memory
if not keep_freed_memory():
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


def test_freed_memory_is_kept() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT_FAULTS], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("the C library is not glibc")
    pages = 4 * 6 * 4 * 2**20 * 4 // 4096
    assert int(done.stdout) < pages / 100
