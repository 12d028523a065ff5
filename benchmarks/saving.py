"""Saving 200 M parameters with AdamW's state: how long training waits when a thread writes, and when it does not."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measure import arguments, medians, ratio
from report import Claim, publish
from torch import nn

from umbel.config.schema import OptimConfig, TrainConfig
from umbel.data.bad_samples import CorruptSamples
from umbel.runtime.local import LocalRuntime
from umbel.schedule.config import EarlyStopConfig
from umbel.schedule.early_stop import EarlyStop
from umbel.training.guard import Guard
from umbel.training.parts import BestScores, Parts
from umbel.training.saving import Saver

SYNCHRONOUS, ASYNCHRONOUS, PEER = "umbel, synchronous", "umbel, a thread writes", "torch.save"
QUIET, MEANWHILE = "a training step", "a training step while the thread writes"


class TimedRuntime(LocalRuntime):
    """Takes the time that a step waits for what is being saved."""

    waited = 0.0

    def before_update(self, callback: Callable[[], object]) -> bool:
        def timed() -> None:
            started = time.perf_counter()
            callback()
            self.waited = time.perf_counter() - started

        return super().before_update(timed)


def make_saver(folder: Path, layers: int, width: int) -> tuple[Saver, TimedRuntime]:
    """Of a runtime, and parts that are empty."""
    model: Any = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
    train = TrainConfig(save_every=1)
    optimizer = torch.optim.AdamW([{"params": [*model.parameters()], "initial_lr": 1e-4}], lr=1e-4)
    runtime = TimedRuntime(model, optimizer, optim=OptimConfig(), train=train, precision="fp32", total_steps=10**6)
    parts = Parts(Guard(), CorruptSamples(), BestScores({}), EarlyStop(EarlyStopConfig(), {}))
    return Saver(folder, runtime, parts, train, {}), runtime


class Bench:
    """A run that trains and saves by turns."""

    def __init__(self, folder: Path, layers: int, width: int) -> None:
        self.folder = folder
        self.saver, self.runtime = make_saver(folder / "umbel", layers, width)
        self.inputs = torch.randn(8, width)

    def train(self) -> float:
        """A step; its seconds."""
        started = time.perf_counter()
        self.runtime.backward(self.runtime.model(self.inputs).square().mean())
        self.runtime.step()
        return time.perf_counter() - started

    def save(self, later: bool) -> float:
        """Seconds until the call returns."""
        self.saver.config.save_async = later
        started = time.perf_counter()
        self.saver.save(self.runtime.steps_done, needed=False)
        return time.perf_counter() - started

    def save_plainly(self) -> float:
        """By torch alone: neither flushed to the disk nor with a checksum."""
        runtime = self.runtime
        started = time.perf_counter()
        torch.save({"model": runtime.weights(), "optimizer": runtime.optimizer_tensors()}, self.folder / "plain.pt")
        return time.perf_counter() - started

    def round(self) -> dict[str, float]:
        """Every kind of save once, with steps between."""
        taken = {QUIET: self.train(), SYNCHRONOUS: self.save(later=False)}
        self.train()
        called = self.save(later=True)
        taken[MEANWHILE] = self.train()
        taken[ASYNCHRONOUS] = called + self.runtime.waited
        self.saver.wait()
        return taken | {PEER: self.save_plainly()}


def main() -> None:
    quick = arguments(__doc__).quick
    layers, width = (4, 64) if quick else (12, 4096)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), layers, width)
        rounds = [bench.round() for _ in range(2 if quick else 4)][1:]  # the first also gets memory
    times = {name: [taken[name] for taken in rounds] for name in (ASYNCHRONOUS, SYNCHRONOUS, PEER, QUIET, MEANWHILE)}
    rows = [(name, f"{seconds:.2f}") for name, seconds in medians(times).items()]
    claims = [
        Claim("training waits, asynchronous / synchronous save", ratio(times, ASYNCHRONOUS, SYNCHRONOUS), 0.10),
        Claim("training waits, asynchronous / torch.save", ratio(times, ASYNCHRONOUS, PEER), 0.10),
        Claim("training step while the thread writes / otherwise", ratio(times, MEANWHILE, QUIET)),
    ]
    publish("saving", (f"{layers * width * width / 1e6:.0f} M parameters, AdamW", "median s"), rows, claims)


if __name__ == "__main__":
    main()
