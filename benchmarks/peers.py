"""Time of a step of umbel against Lightning and Accelerate, each as it comes, on one model and its batches."""

from __future__ import annotations

import copy
import logging
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from measure import Times, arguments, medians, ratio
from report import Claim, milliseconds, publish
from system import EngineStep, System, new_system, three_tasks
from torch.utils.data import DataLoader, Dataset

CLIP_NORM = 1.0  # all of them clip: it is part of the paper's training


class OneBatch(Dataset[Any]):
    """The same batch again and again, ready made."""

    def __init__(self, images: torch.Tensor, targets: Any, length: int) -> None:
        self.batch, self.length = (images, targets), length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return self.batch


def loaders(system: System, steps: int) -> dict[str, DataLoader[Any]]:
    return {
        name: DataLoader(OneBatch(batch.images.contiguous(), batch.targets, steps), batch_size=None)
        for name, batch in system.batches.items()
    }


def summed_loss(system: System, model: Any, batches: dict[str, Any]) -> torch.Tensor:
    """The sum of all tasks' losses, as the peers' guides write it."""
    losses = [task.loss(model(batches[name][0], name), batches[name][1]).total for name, task in system.tasks.items()]
    return torch.stack(losses).sum()


def lightning_steps(system: System) -> Callable[[int], list[float]]:
    import lightning as L
    from lightning.pytorch.utilities import CombinedLoader

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = system.model
            self.ends: list[float] = []

        def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
            return summed_loss(system, self.network, batch)

        def on_train_batch_end(self, *_: Any) -> None:
            self.ends.append(time.perf_counter())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=1e-4)

    def run(steps: int) -> list[float]:
        module = Module()
        trainer = L.Trainer(
            max_steps=steps + 1, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, gradient_clip_val=CLIP_NORM,
        )  # fmt: skip
        trainer.fit(module, CombinedLoader(loaders(system, steps + 1), "max_size_cycle"))
        return [after - before for before, after in zip(module.ends, module.ends[1:], strict=False)]

    return run


def accelerate_steps(system: System) -> Callable[[int], list[float]]:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    model, optimizer = accelerator.prepare(system.model, torch.optim.AdamW(system.model.parameters(), lr=1e-4))

    def run(steps: int) -> list[float]:
        prepared = {name: accelerator.prepare(loader) for name, loader in loaders(system, steps).items()}
        return timed(zip(*prepared.values(), strict=True), step)

    def step(batches: tuple[Any, ...]) -> None:
        loss = summed_loss(system, model, dict(zip(system.tasks, batches, strict=True)))
        accelerator.backward(loss)
        accelerator.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad()

    return run


def umbel_steps(system: System) -> Callable[[int], list[float]]:
    step = EngineStep(system)
    return lambda steps: timed(range(steps), lambda _: step())


def timed(items: Any, step: Callable[[Any], None]) -> list[float]:
    times, started = [], time.perf_counter()
    for item in items:
        step(item)
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
    return times


def main() -> None:
    quick = arguments(__doc__).quick
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    tasks, size = three_tasks(quick), "convnext_atto" if quick else "convnext_tiny"
    ours = new_system(tasks, model=size, train={"precision": "auto"})
    plain = new_system(tasks, model=size, train={"channels_last": False})
    runs = {
        "umbel, as it comes": umbel_steps(ours),
        "umbel, fp32 contiguous": umbel_steps(plain),
        "Lightning": lightning_steps(copy.deepcopy(plain)),
        "Accelerate": accelerate_steps(copy.deepcopy(plain)),
    }
    times: Times = {name: [] for name in runs}
    for turn in range(2 if quick else 7):
        for name, run in runs.items():
            measured = run(1 if quick else 2)
            times[name] += measured if turn else []  # the first turn warms up
    rows = [(name, milliseconds(value), f"{ours.images / value:.1f}") for name, value in medians(times).items()]
    claims = [
        Claim(f"{peer} step / umbel step, {how}", ratio(times, peer, run), target, at_most=False)
        for peer in ("Lightning", "Accelerate")
        for how, run, target in (
            ("each as it comes", "umbel, as it comes", 1.5),
            ("same precision and memory format", "umbel, fp32 contiguous", 1.0),
        )
    ]
    publish("peers", ("trainer", "median ms", "images/s"), rows, claims)


if __name__ == "__main__":
    main()
