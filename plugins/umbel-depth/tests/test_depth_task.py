"""The depth task keeps umbel's contract, and its loss and flips are what they should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate, pad
from umbel_depth.task import Depth, DepthOptions

from umbel import DataError, Sample, Task, TaskConfig, View, keyed_generator, write_image
from umbel.testing import TaskContract


def write_streets(folder: Path, count: int = 2) -> None:
    """Ramps whose depth falls to the lower right and can be seen as brightness; the first rows are sky."""
    for split in ("train", "val"):
        for index in range(count):
            rng = keyed_generator(split, index)
            rows, columns = np.mgrid[0:64, 0:96]
            metres = 40 - 0.3 * rows - 0.15 * columns + rng.uniform(0, 5)
            image = np.repeat((255 * metres / 60)[..., None], 3, 2) + rng.integers(0, 5, (64, 96, 3))
            centimetres = (metres * 100).astype(np.uint16)
            centimetres[:6] = 65535
            write_image(folder / "images" / f"{split}{index}.jpg", image.astype(np.uint8))
            write_image(folder / "depth" / f"{split}{index}.png", centimetres)
        (folder / f"{split}.txt").write_text("".join(f"{split}{index}\n" for index in range(count)))


class TestDepth(TaskContract):
    task = Depth

    def write_data(self, folder: Path) -> dict[str, Any]:
        write_streets(folder)
        return {"root": str(folder), "width": 16, "balance": 0.5}

    def ideal(self, task: Task[Any], sample: Sample, view: View) -> Any:
        filled = np.where(sample.target > 0, sample.target, 50.0).astype(np.float32)
        log = interpolate(torch.from_numpy(filled).log()[None, None], size=view.size, mode="bilinear")
        log = log.flip(-1) if view.hflip else log
        height, width = view.canvas or view.size
        return task.decode(pad(log, (0, width - view.size[1], 0, height - view.size[0]))[:, 0], view)[0]

    def empty(self, task: Task[Any], sample: Sample) -> Sample:
        return replace(sample, target=np.zeros_like(sample.target))

    def oracle(self, task: Task[Any], predictions: list[Any], targets: list[Any]) -> dict[str, float]:
        errors: list[tuple[float, float, float]] = []
        for prediction, target in zip(predictions, targets, strict=True):
            pairs = [(float(p), float(t)) for p, t in zip(prediction.flatten(), target.flatten(), strict=True) if t > 0]
            abs_rel = sum(abs(p - t) / t for p, t in pairs) / len(pairs)
            rmse = (sum((p - t) ** 2 for p, t in pairs) / len(pairs)) ** 0.5
            errors.append((abs_rel, rmse, sum(max(p / t, t / p) < 1.25 for p, t in pairs) / len(pairs)))
        means = [sum(column) / len(errors) for column in zip(*errors, strict=True)]
        return dict(zip(("abs_rel", "rmse", "delta1"), means, strict=True))


def new_task(root: Path, **options: Any) -> Depth:
    return Depth("range", TaskConfig(kind="depth", input_size=(64, 96)), DepthOptions(root=str(root), **options))


def test_a_common_factor_is_forgiven_as_far_as_balance_says(tmp_path: Path) -> None:
    target = torch.rand(2, 8, 8) * 30 + 2
    tripled = (3 * target).log()
    for balance in (0.0, 0.5, 1.0):
        loss = new_task(tmp_path, balance=balance).loss(tripled, target).total
        assert float(loss) == pytest.approx((1 - balance) * np.log(3) ** 2, abs=1e-5)


def test_unknown_pixels_do_not_count(tmp_path: Path) -> None:
    target = torch.full((1, 4, 4), 10.0)
    target[0, 0] = 0.0
    output = target.clamp(min=1).log()
    output[0, 0] = 99.0
    assert float(new_task(tmp_path).loss(output, target).total) == pytest.approx(0.0, abs=1e-6)


def test_sky_and_gaps_are_unknown(tmp_path: Path) -> None:
    write_streets(tmp_path)
    sample = new_task(tmp_path, max_depth=30.0).dataset("train")[0]
    assert (sample.target[:6] == 0).all()
    assert 0 < sample.target.max() <= 30.0


def test_missing_map_and_name_that_leads_out_are_errors(tmp_path: Path) -> None:
    write_streets(tmp_path)
    (tmp_path / "depth" / "train0.png").unlink()
    with pytest.raises(DataError, match=r"train0\.png"):
        new_task(tmp_path).dataset("train")[0]
    (tmp_path / "val.txt").write_text("../../secret\n")
    with pytest.raises(DataError, match="does not name a file inside"):
        new_task(tmp_path).dataset("val")[0]
