"""Runs whose validation data is held out of the training data: any task can, and they resume to the bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from toys import TOY_RECIPE
from whole_state import whole_state

from umbel.checkpoint.layout import checkpoint_folder
from umbel.config.load import load_recipe
from umbel.contract.errors import CheckpointError, ConfigError
from umbel.data.datasets import held_out
from umbel.registry.plugins import Plugins
from umbel.training.run import Run

Launch = Callable[..., Run]
HELD = ("tasks.first.holdout=0.25", "train.save_every=1", "train.eval_every=4")


def val_ids(run: Run, name: str = "first") -> list[str]:
    data = run.data.val[name]
    return [data[index].id for index in range(len(data))]  # type: ignore[arg-type]


def test_a_task_that_knows_nothing_of_it_is_divided(launch: Launch) -> None:
    run = launch("a", *HELD)
    assert len(run.data.train["first"]) == 9  # type: ignore[arg-type]
    assert val_ids(run) == [f"bright-{index}" for index in held_out(12, 0.25)]
    assert len(val_ids(run, "second")) == 7, "the other keeps its own split"
    assert run.schedule.batches["first"] == 9 / 4


def test_the_seed_does_not_choose_the_validation_images(launch: Launch) -> None:
    assert val_ids(launch("a", *HELD)) == val_ids(launch("b", *HELD, "train.seed=5"))


def test_resumed_run_is_bit_equal(launch: Launch) -> None:
    unbroken = launch("unbroken", *HELD)
    launch("broken", *HELD, stop=6)
    resumed = launch("broken", *HELD, "tasks.first.workers=1", resume=True)
    one, other = (whole_state(checkpoint_folder(run.checkpoints, 12)) for run in (unbroken, resumed))
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]) if isinstance(value, torch.Tensor) else value == other[name], name
    assert unbroken.best == resumed.best


def test_another_share_is_another_run(launch: Launch) -> None:
    launch("a", *HELD, stop=6)
    with pytest.raises(CheckpointError, match=r"tasks\.first\.holdout changed"):
        launch("a", *HELD, "tasks.first.holdout=0.5", resume=True)


@pytest.mark.parametrize("share", ["1.0", "-0.2", ".nan", "many"])
def test_wrong_shares_are_errors_of_the_recipe(share: str, tmp_path: Path, new_plugins: Callable[[], Plugins]) -> None:
    (tmp_path / "r.yaml").write_text(TOY_RECIPE)
    with pytest.raises(ConfigError, match="holdout"):
        load_recipe(str(tmp_path / "r.yaml"), (f"tasks.first.holdout={share}",), new_plugins())
