"""What a run remembers stands in one mapping: it is saved and put back whole, and what is left out is missed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields

import pytest

from umbel.data.bad_samples import CorruptSample, CorruptSamples
from umbel.schedule.config import EarlyStopConfig
from umbel.schedule.early_stop import EarlyStop
from umbel.schedule.window import Window
from umbel.training.guard import Guard
from umbel.training.parts import BestScores, EvaluationDone, Parts, TrainingTime
from umbel.training.run import Run


class Scored:
    main_metric = "miou"


def fresh() -> Parts:
    stop = EarlyStop(EarlyStopConfig(mode="any", patience=1), {"road": Window()})
    return Parts(Guard("skip"), CorruptSamples({"road": 3}), BestScores({"road": Scored()}), stop)  # type: ignore[dict-item]


def used() -> Parts:
    parts = fresh()
    parts.guard.skipped, parts.guard.in_a_row = 3, 2
    parts.bad_samples.note([CorruptSample("road", 4, "4.png is cut short")])
    parts.best.update({"road/miou": 0.5, "score": 0.5}, 7)
    parts.early_stop.update({"road": 0.5}, 7)
    parts.early_stop.update({"road": 0.4}, 8)
    parts.minutes.minutes = 1.5
    parts.evaluated.done = False
    return parts


def test_what_is_saved_is_put_back() -> None:
    state = json.loads(json.dumps(used().state_dict()))
    parts = fresh()
    parts.load_state_dict(state)
    assert parts.state_dict() == used().state_dict()
    assert parts.early_stop.reason == "road did not improve in 1 evaluations"
    assert parts.bad_samples.found == used().bad_samples.found


@pytest.mark.parametrize("lost", Parts.names())
def test_every_part_that_is_left_out_is_missed(lost: str) -> None:
    state = used().state_dict()
    del state[lost]
    with pytest.raises(KeyError, match=lost):
        fresh().load_state_dict(state)
    parts = fresh()
    parts.load_state_dict({**used().state_dict(), lost: fresh().state_dict()[lost]})
    assert parts.state_dict()[lost] != used().state_dict()[lost]


def test_a_new_part_touches_one_place() -> None:
    class Weather:
        """A part of somebody else's."""

        value = "dry"

        def state_dict(self) -> str:
            return self.value

        def load_state_dict(self, state: str) -> None:
            self.value = state

    @dataclass
    class More(Parts):
        weather: Weather = field(default_factory=Weather)

    one = More(**{f.name: getattr(used(), f.name) for f in fields(Parts)})
    one.weather.value = "rain"
    other = More(**{f.name: getattr(fresh(), f.name) for f in fields(Parts)})
    other.load_state_dict(one.state_dict())
    assert other.weather.value == "rain"


def test_best_is_the_highest_so_far_of_each_score() -> None:
    best = BestScores({"road": Scored()})  # type: ignore[dict-item]
    assert best.update({"road/miou": 0.5, "score": 0.4}, 1) == ["best-road", "best"]
    assert best.update({"road/miou": 0.4, "score": 0.6}, 2) == ["best"]
    assert best.update({"road/miou": float("nan"), "score": 0.6}, 3) == []
    assert best.values == {"road/miou": [0.5, 1], "score": [0.6, 2]}


def test_time_runs_only_between_start_and_lap(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("umbel.training.parts.time.perf_counter", lambda: now[0])
    spent = TrainingTime()
    spent.load_state_dict(2.0)
    now[0] = 60.0
    spent.lap()
    assert spent.minutes == 2.0
    spent.start()
    now[0] = 120.0
    spent.lap()
    now[0] = 150.0
    assert spent.minutes == 3.0
    spent.lap()
    assert spent.state_dict() == 3.5


def test_the_outstanding_evaluation_is_a_bool_in_the_state() -> None:
    done = EvaluationDone()
    done.load_state_dict(False)
    assert done.state_dict() is False


def test_a_run_has_few_fields() -> None:
    assert len(fields(Run)) <= 12
