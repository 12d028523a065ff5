"""Fifty signals at random moments, inside saving and evaluation too: every resumed run is bit-equal."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from separate import start
from toys import TOY_RECIPE, ToyPlugin
from whole_state import differing, whole_state

from umbel.checkpoint.layout import checkpoint_folder, checkpoint_folders
from umbel.checkpoint.read import find_checkpoint, open_checkpoint
from umbel.config.load import load_recipe
from umbel.contract.errors import InterruptedRunError
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train
from umbel.training.signals import SIGNALS

OVERRIDES = ("train.steps=30", "train.save_every=4", "train.eval_every=3", "train.ema_decay=0.9")


def train_toys(root: Path, out: str, *overrides: str, resume: bool = False) -> Run:
    plugins = Plugins()
    plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
    loaded = load_recipe(str(root / "toy.yaml"), (*OVERRIDES, *overrides), plugins)
    run = prepare(loaded, root / out)
    train(run, resume=resume)
    return run


def train_as_a_process(root: Path, out: str, *overrides: str, resume: bool = False) -> None:
    try:
        train_toys(root, out, *overrides, resume=resume)
    except InterruptedRunError as error:
        os._exit(error.exit_code)


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., Run]:
    (tmp_path / "toy.yaml").write_text(TOY_RECIPE)
    return partial(train_toys, tmp_path)


@pytest.mark.slow
def test_fifty_signals_at_random_moments(launch: Callable[..., Run], tmp_path: Path) -> None:
    started = time.perf_counter()
    straight = launch("straight")
    length = time.perf_counter() - started
    final = whole_state(checkpoint_folder(straight.checkpoints, 30))
    scores = json.loads((straight.directory / "scores.json").read_text())
    chooser = random.Random(3)
    stopped = 0
    for trial in range(50):
        out = f"run-{trial}"
        workers = [f"tasks.first.workers={chooser.choice((0, 0, 1))}", "tasks.second.workers=0"]
        child = start(train_as_a_process, tmp_path, out, *workers)
        time.sleep(chooser.uniform(0.02, 1.1) * length)
        if child.is_alive():
            os.kill(child.pid, getattr(signal, chooser.choice(SIGNALS)))
        child.join(60)
        code = child.exitcode
        assert code in (0, 75, *(-getattr(signal, name) for name in SIGNALS)), f"trial {trial}"
        folder = tmp_path / out / "checkpoints"
        if code == 75:
            stopped += 1
        if code == 75 or list(folder.glob("step-*")):
            step = find_checkpoint(folder).step
            assert code != 75 or step <= 30
            run = launch(out, resume=True)
        else:  # before its handlers stood
            assert code not in (0, 75)
            run = launch(out)
        assert differing(whole_state(checkpoint_folder(run.checkpoints, 30)), final) == [], f"trial {trial}"
        assert json.loads((run.directory / "scores.json").read_text()) == scores
    assert stopped >= 30


@pytest.mark.parametrize("later", ["true", "false"])
def test_signal_while_a_checkpoint_is_written_lets_it_be_finished(
    launch: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    straight = launch("straight")
    fsync, calls = os.fsync, [0]

    def signalled(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", signalled)
    with pytest.raises(InterruptedRunError, match=r"SIGTERM after step \d+") as caught:
        launch("broken", "train.eval_every=0", f"train.save_async={later}")
    monkeypatch.undo()
    step = int(str(caught.value).split("after step ")[1].split()[0])
    folder = straight.directory.parent / "broken" / "checkpoints"
    assert find_checkpoint(folder).step == step
    assert open_checkpoint(checkpoint_folder(folder, 4)).step == 4
    assert step == 4 or later == "true"  # training may have gone on meanwhile
    run = launch("broken", resume=True)
    left, right = (whole_state(checkpoint_folder(r.checkpoints, 30)) for r in (run, straight))
    assert [name for name in differing(left, right) if not name.startswith("state/best")] == []


@pytest.mark.slow
def test_twenty_kills_while_a_thread_writes(launch: Callable[..., Run], tmp_path: Path) -> None:
    """A run that saves after every step is killed, and goes on, until it is the straight run."""
    every = "train.save_every=1"
    straight = launch("straight", every)
    chooser = random.Random(5)
    folder = tmp_path / "broken" / "checkpoints"
    killed = 0
    while killed < 20:
        before = checkpoint_folders(folder)
        child = start(partial(train_as_a_process, resume=bool(before)), tmp_path, "broken", every)
        while child.is_alive() and checkpoint_folders(folder) == before:
            time.sleep(0.001)
        time.sleep(chooser.uniform(0, 0.05))
        child.kill()
        child.join()
        killed += 1
        if find_checkpoint(folder).step == 30:
            break
    run = launch("broken", every, resume=True)
    left, right = (whole_state(checkpoint_folder(r.checkpoints, 30)) for r in (run, straight))
    assert differing(left, right) == []
    assert killed >= 5
