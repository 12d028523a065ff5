"""The contract names a task that waits for other ranks, and a metric that several ranks cannot share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from good_task import Closeness, Shade, ShadeContract
from torch import Tensor
from torchmetrics import Metric

from umbel import Losses, Reporter, Sample, View
from umbel.testing import ContractFault
from umbel.testing.fixture import TaskFixture


class Ranking(Reporter):
    """Scores every image by a metric of its own, which by default gathers its states whenever it computes."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.values: list[float] = []

    def add(self, sample: Sample, prediction: Any) -> None:
        self.metric.reset()
        self.metric.update([prediction], [sample.target])
        self.values.append(float(self.metric.compute()["closeness"]))


class ComputesInReporter(Shade):
    def reporter(self) -> Reporter:
        return Ranking(Closeness())


class HidesIt(Shade):
    def reporter(self) -> Reporter:
        class Careful(Ranking):
            def add(self, sample: Sample, prediction: Any) -> None:
                try:
                    super().add(sample, prediction)
                except Exception:
                    self.values.append(0.0)

        return Careful(Closeness())


class ComputesInFigures(Shade):
    def reporter(self) -> Reporter:
        class Late(Ranking):
            def add(self, sample: Sample, prediction: Any) -> None:
                self.metric.update([prediction], [sample.target])

            def figures(self) -> list[Any]:
                self.metric.compute()
                return []

        return Late(Closeness())


class ReducesItsLoss(Shade):
    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        losses = super().loss(output, targets)
        if dist.is_initialized():
            dist.all_reduce(losses.total.detach())
        return losses


class AsksInDecode(Shade):
    def decode(self, output: Tensor, view: View) -> list[Tensor]:
        if dist.is_initialized():
            dist.broadcast(torch.zeros(1), 0)
        return super().decode(output, view)


class GathersAlone(Shade):
    def metric(self) -> Metric:
        class Own(Closeness):
            def compute(self) -> dict[str, Tensor]:
                if dist.is_initialized():
                    dist.all_reduce(self.error)
                return super().compute()

        return Own()


class KeepsPictures(Shade):
    def metric(self) -> Metric:
        class Album(Closeness):
            def __init__(self) -> None:
                super().__init__()
                self.add_state("pictures", default=[], dist_reduce_fx=None)

            def update(self, predictions: Sequence[Tensor], targets: Sequence[np.ndarray]) -> None:
                super().update(predictions, targets)
                self.pictures += list(targets)

        return Album()


class CountsOutside(Shade):
    def metric(self) -> Metric:
        class Outside(Closeness):
            images = 0

            def update(self, predictions: Sequence[Tensor], targets: Sequence[np.ndarray]) -> None:
                super().update(predictions, targets)
                self.images += len(predictions)

            def compute(self) -> dict[str, Tensor]:
                return {"closeness": 1 - self.error / max(1, self.images)}

        return Outside()


WAITS, SHARES = "no_rank_waits_for_another", "ranks_with_uneven_shares_score_as_one"
BROKEN = [
    (ComputesInReporter, WAITS, r"ComputesInReporter\.reporter\(\)\.add\(\) waits .*sync_on_compute=False"),
    (HidesIt, WAITS, r"HidesIt\.reporter\(\)\.add\(\) waits for other ranks"),
    (ComputesInFigures, WAITS, r"ComputesInFigures\.reporter\(\)\.figures\(\) waits for other ranks"),
    (ReducesItsLoss, WAITS, r"ReducesItsLoss\.loss\(\) waits for other ranks \(torch\.distributed\.all_reduce\)"),
    (AsksInDecode, WAITS, r"decode\(\), restore\(\) or merge\(\) of AsksInDecode waits .*broadcast"),
    (GathersAlone, WAITS, r"GathersAlone\.metric\(\)\.compute\(\) waits .*all_reduce"),
    (KeepsPictures, SHARES, "the state Album.pictures of a metric holds a ndarray, which ranks cannot exchange"),
    (CountsOutside, SHARES, "images score otherwise than one process: .*declare every state by add_state"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "test", "fault"), BROKEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_task_that_ranks_cannot_share_is_told_why(broken: type[Shade], test: str, fault: str, tmp_path: Path) -> None:
    class Contract(ShadeContract):
        task = broken

    contract = Contract()
    with pytest.raises(ContractFault, match=fault) as caught:
        getattr(contract, f"test_{test}")(TaskFixture(contract, tmp_path))
    assert "\n" not in str(caught.value).strip()
    assert not dist.is_initialized()  # it was pretended, and no longer is


def test_a_reporter_that_keeps_to_itself_passes(tmp_path: Path) -> None:
    class Quiet(Shade):
        def reporter(self) -> Reporter:
            metric = Closeness()
            metric._to_sync = metric.sync_on_compute = False  # what `sync_on_compute=False` sets
            return Ranking(metric)

    class Contract(ShadeContract):
        task = Quiet

    Contract().test_no_rank_waits_for_another(TaskFixture(Contract(), tmp_path))
