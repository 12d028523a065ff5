"""What core does with a task that has a capability, and with one that lacks it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from able_task import Able, Shade, new
from good_task import ShadeContract
from torch import nn

from umbel import DataError, DetectedDataset, ExampleFigure, Reporter, Sample, SampleReport, Task, TtaConfig
from umbel.contract import defaults


@pytest.fixture
def able() -> Task[Any]:
    return new(Able)


@pytest.fixture
def plain() -> Task[Any]:
    return new(Shade)


@pytest.fixture
def data(tmp_path: Path) -> Any:
    return new(Shade, ShadeContract().write_data(tmp_path)["root"]).dataset("train")


@dataclasses.dataclass
class Seen:
    shade: float
    where: tuple[int, int]
    map_HW: torch.Tensor


def test_folders(tmp_path: Path) -> None:
    assert defaults.detected_in(Able, tmp_path) == DetectedDataset(tmp_path.name, 64, 2, 1.0, {})
    assert defaults.detected_in(Shade, tmp_path) is None


def test_samples(able: Task[Any], plain: Task[Any], data: Any) -> None:
    assert defaults.inspected(able, data, 1) == SampleReport("looked at 1")
    assert defaults.inspected(plain, data, 1) == SampleReport("1.png")
    assert [source.id for source in defaults.sources_of(able, data) or ()] == ["0", "1", "2"]
    assert defaults.sources_of(plain, data) is None
    assert list(defaults.strata_of(able, data)) == ["dark", "light", "dark"]
    assert list(defaults.strata_of(plain, data)) == []


def test_sample_that_cannot_be_read_is_a_finding(plain: Task[Any]) -> None:
    class Gone(list[Sample]):
        def __getitem__(self, index: Any) -> Any:
            raise DataError("is gone", where="7.png", kind="missing", hint="copy it")

    report = defaults.inspected(plain, Gone(), 7)  # type: ignore[arg-type]
    assert report.id == "7"
    (finding,) = report.findings
    assert (finding.kind, finding.file, finding.message, finding.severity) == ("missing", "7.png", "is gone", "error")


def test_classes(able: Task[Any], plain: Task[Any], data: Any) -> None:
    assert list(defaults.classes_of(able)) == ["dark", "light"]
    assert list(defaults.classes_of(plain)) == []
    assert list(defaults.classes_shown_in(able, data, 1) or ()) == ["light"]
    assert defaults.classes_shown_in(plain, data, 1) is None


def test_what_is_told_of_data(able: Task[Any], plain: Task[Any]) -> None:
    assert [table.title for table in defaults.statistics_of(able, "val")] == ["about val"]
    assert list(defaults.statistics_of(plain, "val")) == []
    assert defaults.inferred_options_of(able) == {"noise": 7}
    assert defaults.inferred_options_of(plain) == {}


def test_tta_variants(able: Task[Any], plain: Task[Any]) -> None:
    plain.config.tta = TtaConfig(scales=[1.0, 1.5], hflip=True)
    assert [row.name for row in defaults.tta_variants_of(able)] == ["only"]
    rows = defaults.tta_variants_of(plain)
    assert [(row.tta.scales, row.tta.hflip) for row in rows] == [
        ([1.0], False),
        ([1.0, 1.5], False),
        ([1.0, 1.5], True),
    ]


def test_pictures(able: Task[Any], plain: Task[Any]) -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert (defaults.drawn(able, image, None) == 200).all()
    assert np.array_equal(defaults.drawn(plain, image, None), np.arange(48, dtype=np.uint8).reshape(4, 4, 3))


def test_narrowing(able: Task[Any], plain: Task[Any]) -> None:
    wanted, prediction = frozenset({"dark"}), object()
    assert defaults.filtered(able, prediction, 0.5, wanted) == ("filtered", prediction, 0.5, wanted)
    assert defaults.filtered(plain, prediction, 0.5, wanted) is prediction


def test_json(able: Task[Any], plain: Task[Any]) -> None:
    seen = Seen(0.5, (1, 2), torch.tensor([[1, 2], [3, 4]]))
    assert defaults.json_of(able, seen) == "in words"
    assert defaults.json_of(plain, seen) == {"shade": 0.5, "where": [1, 2], "map_HW": [[1, 2], [3, 4]]}


def test_reporters(able: Task[Any], plain: Task[Any]) -> None:
    assert type(defaults.reporter_of(able)) is Reporter
    reporter = defaults.reporter_of(plain)
    image = np.full((4, 4, 3), 90, np.uint8)
    for index in range(9):
        reporter.add(Sample(image, None, f"s{index}", (4, 4)), None)
    (figure,) = reporter.figures()
    assert isinstance(figure, ExampleFigure)
    assert len(figure.examples) == 4  # the first ones


def test_samples_of_a_report_are_drawn_where_a_task_draws() -> None:
    class Artist(Shade):
        shown: list[Any] = []

        def draw(self, image: np.ndarray, prediction: Any) -> np.ndarray:
            self.shown.append(prediction)
            return image

    reporter = defaults.reporter_of(new(Artist))
    reporter.add(Sample(np.zeros((4, 4, 3), np.uint8), "truth", "s", (4, 4)), "guess")
    reporter.figures()
    assert Artist.shown == ["guess", "truth"]


def test_export(able: Task[Any], plain: Task[Any]) -> None:
    head = nn.Linear(2, 2)
    assert isinstance(defaults.exported(able, head), nn.Sequential)
    assert defaults.exported(plain, head) is head
    assert defaults.export_spec_of(able) == {"decoding": "none"}
    assert defaults.export_spec_of(plain) == {}


def test_rounding(able: Task[Any], plain: Task[Any]) -> None:
    assert defaults.predictions_close(able, 1.0, 9.0, 1e-4)
    assert not defaults.predictions_close(plain, 1.0, 9.0, 1e-4)
    assert defaults.predictions_close(plain, 1.0, 1.00005, 1e-4)
    assert not defaults.predictions_close(plain, {"count": 1}, {"count": 2}, 10.0)
