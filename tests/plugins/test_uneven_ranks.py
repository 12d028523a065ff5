"""The three built-in tasks and the three plugins on two and three ranks that share the validation images unevenly."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from uneven_worker import BLOCKS, STEPS
from zero_toys import TESTS, launch_ranks

from umbel.checkpoint.read import find_checkpoint
from umbel.cli import main
from umbel.recipes.streets.dataset import Counts, render_dataset

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
VALIDATION = {"road": 5, "vehicles": 6, "signs": 3, "range": 5, "scene": 3, "corners": 3}
RECIPE = f"""
defaults: {ROOT}/plugins/demo_six.yaml
backbone:
  options: {{model_args: {{depths: [1, 1, 1, 1], dims: [8, 8, 16, 16]}}}}
tasks:
  road: {{batch_size: 2, input_size: [64, 96], options: {{width: 8}}}}
  vehicles: {{batch_size: 2, input_size: [64, 64], options: {{mid_channels: 8}}}}
  signs: {{batch_size: 2, input_size: [64, 64], options: {{neck_channels: [8, 8, 8], test_size: [64, 96]}}}}
  range: {{batch_size: 3, input_size: [64, 96]}}
  scene: {{batch_size: 2, input_size: [64, 96], options: {{classes: {{nearest_sign: [NAMES]}}}}}}
  corners: {{batch_size: 2, input_size: [64, 64]}}
train:
  {{steps: {STEPS}, save_every: 1, precision: fp32, device: cpu, channels_last: false, ema_decay: 0.5, timeout: 120,
    balancer: {{name: uncertainty}}}}
"""


@pytest.fixture
def workplace(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    render_dataset(tmp_path / "demo" / "data", seed=1, counts=Counts(6, 5, 12, 7, 8, 3))
    main(["street-labels", "demo/data"])
    main(["street-corners", "demo/data"])
    kinds = json.loads(Path("demo/data/det/annotations/train.json").read_text())["categories"]
    Path("six.yaml").write_text(RECIPE.replace("NAMES", ", ".join(kind["name"] for kind in kinds)))
    plugins = sorted(str(path) for path in (ROOT / "plugins").glob("umbel-*"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(installed), *plugins]))
    return tmp_path


@pytest.mark.parametrize("world_size", [2, 3])
def test_uneven_shares_train_evaluate_report_save_and_resume(workplace: Path, world_size: int) -> None:
    worker = str(TESTS / "uneven_worker.py")
    for result in launch_ranks(world_size, worker, "train", "six.yaml", *BLOCKS):
        assert result.returncode == 0, result.stderr[-3000:]
    (alone,) = launch_ranks(1, worker, "evaluate", "six.yaml", *BLOCKS)
    assert alone.returncode == 0, alone.stderr[-3000:]
    for out in map(Path, BLOCKS):
        expected = json.loads((out / "alone.json").read_text())
        notes = [json.loads((out / f"note-{rank}.json").read_text()) for rank in range(world_size)]
        for note in notes:
            assert note["same"]
            for key in ("scores", "again"):
                assert note[key].keys() == expected.keys()
                assert not [name for name, value in expected.items() if not equal(note[key][name], value)], note
        assert len({name.partition("/")[0] for name in expected} - {"score"}) == 6
        checkpoint = find_checkpoint(out / "checkpoints")
        assert (checkpoint.step, checkpoint.state["evaluated"], checkpoint.state["world_size"]) == (3, True, world_size)
        assert checkpoint.state["best"]["score"][0] == expected["score"]
        record = json.loads((out / "report.json").read_text())
        assert record["state"] == "finished"
        assert record["faults"] == {}
        assert {name: task["val"] for name, task in record["tasks"].items()} == VALIDATION
        assert all(0 < record["images"][name] <= VALIDATION[name] for name in VALIDATION)
        assert all(record["figures"].values())
        assert "images that the first process evaluated" in (out / "report.html").read_text()


def equal(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
