"""A run that was begun before core/ had its rooms goes on: its checkpoint of step 7 of 12 is in tests/golden/."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from umbel.checkpoint.read import find_checkpoint
from umbel.config.load import load_recipe
from umbel.registry.plugins import Plugins
from umbel.training.prepare import prepare
from umbel.training.session import train

OLD = Path(__file__).resolve().parents[2] / "golden" / "run-of-0.1.0"
AT_THE_END = {  # of the same run without a break, as the code of that time scored it
    "first/closeness": 0.9079106064444339,
    "second/closeness": 0.7394705762465795,
    "score": 0.8236905913455067,
}


def test_a_run_of_an_earlier_version_goes_on(
    tmp_path: Path, recipe_file: Path, new_plugins: Callable[[], Plugins]
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(OLD, folder)
    before = find_checkpoint(folder / "checkpoints")
    overrides = ("train.save_every=5", "train.eval_every=5", "train.ema_decay=0.9")
    stop = ("train.early_stop.mode=all", "train.early_stop.patience=50")
    run = prepare(load_recipe(str(recipe_file), (*overrides, *stop), new_plugins()), folder)
    scores = train(run, resume=True)
    assert (before.step, run.steps_done) == (7, 12)
    assert scores == pytest.approx(AT_THE_END, rel=2e-3)  # sums are rounded as threads share them
    assert all(value >= scores[key] and step in (10, 12) for key, (value, step) in run.best.items())
    assert run.minutes > before.state["minutes"]
    now = find_checkpoint(folder / "checkpoints").state
    assert now.keys() == before.state.keys()
