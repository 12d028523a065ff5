"""A hundred steps of three toy tasks: twice bit-equal here, and the same figures on every machine.

`python tests/core/training/test_golden_run.py` writes the figures anew, after a change that is meant to change them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from umbel import hookimpl
from umbel.config.load import load_recipe
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.prepare import prepare
from umbel.training.session import train

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))
from toys import TOY_RECIPE, ToyPlugin

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "toy_losses.json"
OVERRIDES = (
    "tasks.third={kind: bright, batch_size: 2, input_size: [24, 24], weight: 0.5}",
    "train.steps=100",
    "train.ema_decay=0.9",
    "optim.lr=0.001",
)


class Losses:
    def __init__(self) -> None:
        self.steps: list[list[float]] = []

    @hookimpl
    def umbel_step_finished(self, losses: dict) -> None:
        self.steps.append([float(value.total) for value in losses.values()])


def hundred_steps(folder: Path) -> list[list[float]]:
    """Losses of the three tasks, step by step."""
    plugins, losses = Plugins(), Losses()
    plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
    plugins.register(losses, Plugin("losses", "1.0", "losses"))
    (folder / "toy.yaml").write_text(TOY_RECIPE)
    loaded = load_recipe(str(folder / "toy.yaml"), OVERRIDES, plugins)
    train(prepare(loaded, folder / "run"))
    return losses.steps


def test_losses_are_the_golden_ones_twice(tmp_path_factory) -> None:
    first, second = (hundred_steps(tmp_path_factory.mktemp("golden")) for _ in range(2))
    assert first == second
    golden = json.loads(GOLDEN.read_text())
    assert np.shape(first) == (100, 3)
    np.testing.assert_allclose(
        first, golden["losses"], rtol=1e-4, atol=1e-6, err_msg=f"written with torch {golden['torch']}"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        steps = hundred_steps(Path(scratch))
    GOLDEN.write_text(json.dumps({"torch": torch.__version__, "losses": steps}, indent=1) + "\n")
