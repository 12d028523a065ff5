"""What the report of a run on GPUs counts, on a run whose device is pretended."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest
import torch
from toys import BrightHead

from umbel.report.record import record_run, write_record
from umbel.report.write import write_report
from umbel.training.run import Run

FIRST = 2 * (2 * 4 * 32 * 48 * 3 * 8) + 3 * 2 * 4 * 8  # 8 x 8 convolution of stride 8 to 8 channels, and a linear layer
SECOND = 2 * (2 * 3 * 16 * 16 * 3 * 8) + 3 * 2 * 3 * 8

Launch = Callable[..., Run]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on a run says that it was on an A100."""
    monkeypatch.setattr(Run, "device", torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA A100-SXM4-80GB")


def test_a_run_on_a_cpu_counts_nothing(launch: Launch) -> None:
    run = launch("out")
    record = record_run(run, None)
    assert record.timed_steps == 11
    assert (record.step_flops, record.step_images) == (0, 0)


def test_every_task_in_every_step(launch: Launch, request: pytest.FixtureRequest) -> None:
    run = launch("out")
    request.getfixturevalue("pretend")
    record = record_run(run, None)
    assert record.step_flops == FIRST + SECOND
    assert record.step_images == 4 + 3
    write_record(run.directory / "report.json", record, run.secrets)
    stored = json.loads((run.directory / "report.json").read_text())
    assert stored["step_flops"] == FIRST + SECOND
    page = write_report(run.directory).read_text()
    assert "The peak of A100 is 19.5 TFLOP/s in fp32" in page


def test_a_task_that_rests_counts_where_it_took_part(launch: Launch, request: pytest.FixtureRequest) -> None:
    run = launch("out", "tasks.second.every=3", "train.accumulate=2")
    request.getfixturevalue("pretend")
    share = 3 / 11  # steps 3, 6 and 9 of those from 1 to 11
    record = record_run(run, None)
    assert record.step_flops == pytest.approx(2 * (FIRST + share * SECOND))
    assert record.step_images == pytest.approx(2 * (4 + share * 3))


def test_of_a_resumed_run_the_steps_that_were_timed(launch: Launch, request: pytest.FixtureRequest) -> None:
    launch("out", "tasks.second.stop_step=8", "train.save_every=6", stop=7)
    run = launch("out", "tasks.second.stop_step=8", "train.save_every=6", resume=True)
    request.getfixturevalue("pretend")
    record = record_run(run, None)
    assert record.timed_steps == 5  # 7 to 11; the second task takes part in the first of them
    assert record.step_flops == pytest.approx(FIRST + SECOND / 5)


def test_a_head_that_needs_data_costs_the_count_alone(
    launch: Launch,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    run = launch("out")
    request.getfixturevalue("pretend")
    original = BrightHead.forward
    monkeypatch.setattr(BrightHead, "forward", lambda self, levels: original(self, levels) * levels[0].sum().item())
    with caplog.at_level(logging.WARNING):
        record = record_run(run, None)
    assert (record.step_flops, record.step_images) == (0, 7)
    assert "what a step computes was not counted" in caplog.text
    assert "DataDependentOutputException" in caplog.text
