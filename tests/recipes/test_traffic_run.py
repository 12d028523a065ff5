"""umbel train traffic, on generated data in the real formats: small, and at the paper's full sizes."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path

import pytest
from generators.traffic import write_full, write_small

from umbel import load, read_image, train
from umbel.cli import main

SMALL = (
    "backbone.options.model=convnext_atto",
    "backbone.options.model_args={depths: [1, 1, 1, 1], dims: [8, 16, 24, 32]}",
    "tasks.road.input_size=[64, 128]",
    "tasks.road.options.width=16",
    "tasks.cars.input_size=[64, 64]",
    "tasks.signs.input_size=[96, 96]",
    "tasks.signs.options.depth_mult=0.33",
    "tasks.signs.options.test_size=[128, 128]",
    "tasks.signs.options.conf=0.0",  # or an untrained head would detect nothing
    "tasks.signs.options.wbf_skip=0.0",
    "tasks.signs.tta.sizes=[[128, 128], [96, 96], [160, 160]]",
    *(f"tasks.{name}.workers=0" for name in ("road", "cars", "signs")),
    "train.precision=fp32",
    "train.log_every=1",
)
WITHOUT_TTA = (
    "tasks.road.tta={scales: [1.0], hflip: false}",
    "tasks.cars.tta={scales: [1.0], hflip: false}",
    "tasks.signs.tta={sizes: [], hflip: false}",
    "tasks.signs.options.test_size=[512, 512]",
)
GIB_FOR_KIB = 2**-20


def losses_of(run: Path) -> list[float]:
    """Every loss of every logged step, the totals and their parts."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    of_tasks = [task for line in lines for task in line.get("losses", {}).values()]
    return [loss for task in of_tasks for loss in task.values()]


def test_small_traffic_trains_evaluates_and_predicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_small(tmp_path / "data")
    monkeypatch.setenv("UMBEL_DATA", str(data))
    scores = train("traffic", [*SMALL, "train.steps=2"], out=tmp_path / "run")
    assert {"road/miou", "cars/top1", "signs/map50", "score"} <= scores.keys()
    assert scores["score"] == pytest.approx((scores["road/miou"] + scores["cars/top1"] + scores["signs/map50"]) / 3)
    assert losses_of(tmp_path / "run")
    model = load(tmp_path / "run")
    assert len(model.tasks["signs"].views((256, 256))) == 6
    street = read_image(next((data / "bdd100k/seg/images/val").iterdir()))
    predictions = model.predict(street)
    assert predictions["road"].labels.shape == (90, 160)
    assert predictions["cars"].probabilities.sum() == pytest.approx(1.0, abs=1e-5)
    boxes = predictions["signs"].boxes_N4
    assert len(boxes) > 0
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes.min() >= 0
    assert boxes[:, ::2].max() <= 160 + 1e-3  # fusion weighs boxes in float32
    assert boxes[:, 1::2].max() <= 90 + 1e-3


def test_check_draws_sheets_of_what_each_task_trains_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UMBEL_DATA", str(write_small(tmp_path / "data")))
    main(["check", "traffic", *SMALL, "--pictures", str(tmp_path / "look")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == [str(tmp_path / "look" / f"{name}.jpg") for name in ("road", "cars", "signs")]
    assert [line.split()[:5] for line in lines[5:8]] == [
        ["road", "4", "2", "3", "3x3x64x128"],
        ["cars", "8", "3", "6", "6x3x64x64"],
        ["signs", "4", "2", "2", "2x3x96x96"],
    ]
    assert "38800 steps of 11 images" in lines  # notes on the data may follow
    for name, side in (("road", 64), ("cars", 64), ("signs", 96)):
        sheet = read_image(tmp_path / "look" / f"{name}.jpg")
        assert max(sheet.shape[:2]) > 900  # small pictures are enlarged, and drawn on in strong colours
        assert (sheet.max(axis=2).astype(int) - sheet.min(axis=2) > 120).sum() > side * side


@pytest.mark.huge
@pytest.mark.timeout(3600)
@pytest.mark.slow
def test_full_traffic_takes_two_steps_within_18_gib(tmp_path: Path) -> None:
    """ConvNeXt-L from random weights at 512 x 1024, 448 x 448 and 1024 x 1024, batches 3, 6 and 2, in bf16.

    About 12 minutes on two cores.
    """
    run = tmp_path / "run"
    overrides = [*WITHOUT_TTA, "train.steps=2", "train.log_every=1", "train.device=cpu"]
    overrides += [f"tasks.{name}.workers=0" for name in ("road", "cars", "signs")]
    command = [sys.executable, "-m", "umbel", "train", "traffic", "--out", str(run), *overrides]
    environment = {**os.environ, "UMBEL_DATA": str(write_full(tmp_path / "data"))}
    child = os.posix_spawn(command[0], command, environment)
    _, status, usage = os.wait4(child, 0)  # the usage of this process alone; getrusage would mix in earlier ones
    assert os.waitstatus_to_exitcode(status) == 0
    scores = json.loads((run / "scores.json").read_text())
    assert {"road/miou", "cars/top1", "signs/map50", "score"} <= scores.keys()
    losses = losses_of(run)
    assert len(losses) >= 2 * 3
    assert all(math.isfinite(loss) for loss in losses)
    assert usage.ru_maxrss * GIB_FOR_KIB <= 18
