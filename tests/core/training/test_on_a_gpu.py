"""The three built-in tasks on a real GPU, held against the CPU. Skipped by name where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch.utils._pytree import tree_leaves
from trio_data import write_trio
from zero_toys import free_port, rank_environment

from umbel.checkpoint.read import find_checkpoint
from umbel.config.load import load_recipe
from umbel.contract.errors import TrainingError
from umbel.contract.types import Losses
from umbel.data.loader import CompositeLoader
from umbel.registry.plugins import Plugins
from umbel.training.engine import Engine
from umbel.training.guard import Guard
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train

DEVICE = "cuda"

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="there is no GPU here"),
]


@pytest.fixture
def recipe(tmp_path: Path) -> Iterator[Path]:
    """Data and a recipe, while convolutions of the GPU compute in the fp32 of the CPU."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield write_trio(tmp_path)
    torch.backends.cudnn.allow_tf32 = before


def prepared(recipe: Path, out: str, *overrides: str, device: str = DEVICE) -> Run:
    settings = (f"train.device={device}", "train.precision=fp32", *overrides)
    return prepare(load_recipe(str(recipe), settings, Plugins.discover()), recipe.parent / out)


def first_losses(run: Run, steps: int = 3) -> list[dict[str, float]]:
    """Total of each task in the first steps."""
    engine = Engine(run.runtime, run.tasks)
    seen: list[dict[str, float]] = []

    def after_step(step: int, losses: dict[str, Losses], lr: float) -> None:
        seen.append({name: float(value.total) for name, value in losses.items()})

    loader = CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=steps)
    engine.fit(loader, after_step, seed=0, start=0)
    return seen


def without_dropout(run: Run) -> Run:
    """Random numbers of the devices differ."""
    for module in run.model.modules():
        for name in ("p", "drop_prob"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    return run


def test_losses_are_those_of_the_cpu(recipe: Path) -> None:
    host = first_losses(without_dropout(prepared(recipe, "a", device="cpu")))
    device = first_losses(without_dropout(prepared(recipe, "b")))
    assert device[0] == pytest.approx(host[0], rel=1e-4)
    for one, other in zip(device[1:], host[1:], strict=True):
        assert one == pytest.approx(other, rel=5e-3)


def test_raw_outputs_are_those_of_the_cpu(recipe: Path) -> None:
    outputs = []
    for device in ("cpu", DEVICE):
        run = prepared(recipe, device, device=device)
        batches = next(iter(CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=1)))
        with run.runtime.eval_mode():
            raw = [run.runtime.forward(run.runtime.to_device(batch).images, name) for name, batch in batches.items()]
        outputs.append([leaf.float().cpu() for leaf in tree_leaves(raw)])
    for host, there in zip(*outputs, strict=True):
        torch.testing.assert_close(there, host, rtol=1e-3, atol=1e-3)


def test_a_loss_that_is_not_finite_touches_no_weight(recipe: Path) -> None:
    run = prepared(recipe, "run")
    batches = next(iter(CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=1)))
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    task = run.tasks["vehicles"]
    poisoned: Callable[..., Losses] = lambda *given: Losses(type(task).loss(task, *given).total * torch.nan)  # noqa: E731
    with patch.object(task, "loss", poisoned), pytest.raises(TrainingError, match="the loss of task 'vehicles' is nan"):
        Engine(run.runtime, run.tasks, Guard("stop")).train_step(batches, dict.fromkeys(batches, 1.0))
    assert all(torch.equal(value, before[name]) for name, value in run.model.named_parameters())


def test_forward_and_backward_wait_for_nothing(recipe: Path) -> None:
    run = prepared(recipe, "run")
    batches = next(iter(CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=1)))
    placed = {name: run.runtime.to_device(batch) for name, batch in batches.items()}
    run.model.train()
    for mode in ("default", "error"):  # the first pass places constants
        torch.cuda.set_sync_debug_mode(mode)
        try:
            for name, batch in placed.items():
                run.runtime.backward(run.tasks[name].loss(run.runtime.forward(batch.images, name), batch.targets).total)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("asynchronous", [True, False])
def test_saved_while_training_and_resumed(recipe: Path, asynchronous: bool) -> None:
    """Atomic kernels round in any order, so that weights are close and no more."""
    settings = ("train.save_every=1", "train.keep_every=1", f"train.save_async={asynchronous}", "train.steps=4")
    whole = prepared(recipe, "whole", *settings)
    train(whole)
    shutil.copytree(whole.directory, recipe.parent / "half")
    for step in (3, 4):
        shutil.rmtree(recipe.parent / "half" / "checkpoints" / f"step-{step:08d}")
    half = prepared(recipe, "half", *settings)
    train(half, resume=True)
    saved = find_checkpoint(whole.checkpoints).tensors("model")
    for name, value in find_checkpoint(half.checkpoints).tensors("model").items():
        torch.testing.assert_close(value, saved[name], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_each_zero_stage_over_one_rank_learns_what_plain_torch_does(recipe: Path, stage: int) -> None:
    losses = []
    for out, block in (("plain", ()), ("zero", (f"deepspeed.zero_optimization.stage={stage}",))):
        command = [sys.executable, "-m", "umbel", "train", str(recipe), "--out", str(recipe.parent / out)]
        settings = (f"train.device={DEVICE}", "train.precision=fp32", "train.log_every=1", *block)
        done = subprocess.run(
            [*command, *settings], env=rank_environment(0, 1, free_port()), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        lines = [json.loads(line) for line in (recipe.parent / out / "metrics.jsonl").read_text().splitlines()]
        losses.append([of["total"] for line in lines for of in line.get("losses", {}).values()])
    assert losses[0][:3] == pytest.approx(losses[1][:3], rel=1e-3)
    assert losses[0] == pytest.approx(losses[1], rel=5e-2)
