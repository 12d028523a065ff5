"""Blocks inside blocks count once."""

from __future__ import annotations

import contextlib

import pytest
import torch

from umbel.evaluate import stopwatch
from umbel.evaluate.stopwatch import Stopwatch


def test_what_is_timed_inside_counts_for_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(stopwatch, "seconds_now", lambda device: now)
    watch = Stopwatch(torch.device("cpu"))
    for _ in range(2):
        with watch.timing("outer"):
            now += 1
            with watch.timing("middle"):
                now += 10
                with watch.timing("inner"):
                    now += 100
            now += 1000
            with contextlib.suppress(KeyError), watch.timing("middle"):
                now += 10000
                raise KeyError
    assert watch.seconds == {"outer": 2002, "middle": 20020, "inner": 200}
