"""States gathered over ranks are those of one process, for metrics of every kind, however the data is shared."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics import CatMetric, MaxMetric, MeanMetric, Metric, MetricCollection, MinMetric, SumMetric
from torchmetrics.classification import BinaryAUROC, MulticlassAccuracy, MulticlassConfusionMatrix
from torchmetrics.regression import MeanSquaredError

from umbel.contract.errors import PluginError
from umbel.evaluate.metric_states import apart, gather_states, pack, unite
from umbel.testing.check_ranks import in_company


class Boxes(Metric):
    """Lists of tensors of other lengths, shapes and types an image, with text and tuples among them."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("boxes", default=[], dist_reduce_fx=None)
        self.add_state("labels", default=[], dist_reduce_fx="cat")
        self.add_state("masks", default=[], dist_reduce_fx=None)
        self.add_state("widest", torch.tensor(-torch.inf), dist_reduce_fx="max")

    def update(self, value: Tensor) -> None:
        count = int(value.abs() * 10) % 4
        self.boxes.append(value.expand(count, 4).contiguous())
        self.labels.append(torch.full((count,), count, dtype=torch.int64))
        self.masks.append((("run", count), bytes([count, 0, 255])))
        self.widest = torch.maximum(self.widest, value)

    def compute(self) -> dict[str, Tensor]:
        weights = torch.arange(1, 1 + sum(map(len, self.boxes)), dtype=torch.float32)
        boxes = torch.cat([*self.boxes, torch.zeros(0, 4)])
        labels = torch.cat([*self.labels, torch.zeros(0, dtype=torch.int64)])
        runs = sum(index * sum(content) + len(name) for index, ((name, _), content) in enumerate(self.masks))
        return {"order": (boxes.sum(1) * weights).sum(), "labels": (labels * weights).sum(), "runs": torch.tensor(runs)}


class Stacked(Metric):
    """A tensor that is not reduced: of several ranks `compute` finds one row each, as torchmetrics gives it."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(2, dtype=torch.float64), dist_reduce_fx=None)

    def update(self, value: Tensor) -> None:
        self.sums = self.sums + torch.stack([value, value.square()])

    def compute(self) -> Tensor:
        return self.sums.view(-1, 2).sum(0)


class Nested(Metric):
    """A metric inside a metric, which torchmetrics would gather when the outer one computes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = SumMetric()
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, value: Tensor) -> None:
        self.inner.update(value.double())
        self.count += 1

    def compute(self) -> dict[str, Tensor]:
        return {"mean": self.inner.compute() / self.count}


def classes(value: Tensor) -> tuple[Tensor, Tensor]:
    return value.abs().mul(7).long().remainder(3).view(1), value.abs().mul(3).long().remainder(3).view(1)


Update = Callable[[Any, Tensor], None]
KINDS: dict[str, tuple[Callable[[], Any], Update]] = {
    "sum": (SumMetric, lambda metric, value: metric.update(value)),
    "mean": (MeanMetric, lambda metric, value: metric.update(value, value.abs() + 0.1)),
    "max": (MaxMetric, lambda metric, value: metric.update(value)),
    "min": (MinMetric, lambda metric, value: metric.update(value)),
    "cat": (CatMetric, lambda metric, value: metric.update(value)),
    "lists": (Boxes, lambda metric, value: metric.update(value)),
    "nested": (Nested, lambda metric, value: metric.update(value)),
    "confusion": (lambda: MulticlassConfusionMatrix(3), lambda metric, value: metric.update(*classes(value))),
    "error": (MeanSquaredError, lambda metric, value: metric.update(value, value.square())),
    "stacked": (Stacked, lambda metric, value: metric.update(value)),
    "curve": (BinaryAUROC, lambda metric, value: metric.update(value.sigmoid().view(1), (value > 0.3).long().view(1))),
    "collection": (
        lambda: MetricCollection({"mean": MulticlassAccuracy(3), "all": MulticlassAccuracy(3, average="micro")}),
        lambda metric, value: metric.update(*classes(value)),
    ),
}  # fmt: skip


def result(metric: Any) -> list[float]:
    computed = metric.compute()
    values = list(computed.values()) if isinstance(computed, dict) else [computed]
    return [float(number) for value in values for number in torch.as_tensor(value).flatten()]


@pytest.mark.filterwarnings("ignore:No (positive|negative) samples:UserWarning")
@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None)
@given(
    values=st.lists(st.floats(-3, 3, width=32), min_size=2, max_size=9),
    cuts=st.lists(st.integers(0, 9), min_size=1, max_size=3),
)
def test_any_share_gives_what_one_process_computes(kind: str, values: list[float], cuts: list[int]) -> None:
    make, update = KINDS[kind]
    whole, bounds = make(), [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    for value in values:
        update(whole, torch.tensor(value))
    ranks = [make() for _ in bounds[1:]]
    for metric, first, last in zip(ranks, bounds, bounds[1:], strict=False):
        for value in values[first:last]:
            update(metric, torch.tensor(value))
    packed = [pack(metric) for metric in ranks]
    expected = result(whole)
    for metric in ranks:
        unite(metric, packed)
        np.testing.assert_allclose(result(metric), expected, rtol=1e-4, atol=1e-4, equal_nan=True)


def test_mean_states_are_weighed_by_their_updates() -> None:
    class Mean(Metric):
        mean: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.add_state("mean", torch.zeros(2), dist_reduce_fx="mean")

        def update(self, value: float) -> None:
            self.mean += (torch.tensor([value, -value]) - self.mean) / self.update_count

        def compute(self) -> Tensor:
            return self.mean

    ranks = [Mean() for _ in range(3)]
    for value in (1.0, 2.0, 6.0):
        ranks[0].update(value)
    ranks[2].update(11.0)
    packed = [pack(metric) for metric in ranks]
    for metric in ranks:
        unite(metric, packed)
        torch.testing.assert_close(metric.compute(), torch.tensor([5.0, -5.0]))


def test_no_metric_waits_inside_and_every_one_outside() -> None:
    early = SumMetric()  # made before anybody thought of ranks
    with in_company("nothing"), apart():
        late, stepping = SumMetric(), SumMetric(dist_sync_on_step=True)
        for metric in (early, late):
            metric.update(2.0)
            with apart():
                assert float(metric.compute()) == 2.0
            metric.reset()
            metric.update(3.0)
            assert float(metric.compute()) == 3.0
        assert float(stepping(4.0)) == 4.0
    early.reset()
    early.update(1.0)
    with pytest.raises(AssertionError, match="a metric waits for other ranks"), in_company("a metric"):
        early.compute()


def test_one_process_exchanges_nothing() -> None:
    metric = Boxes()
    metric.update(torch.tensor(0.3))
    metric.masks.append(object())
    gather_states(SimpleNamespace(world_size=1), metric)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match=r"the state Boxes\.masks of a metric holds a object.*states are tensors"):
        pack(metric)
