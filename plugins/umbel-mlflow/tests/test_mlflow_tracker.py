"""Runs of a toy are logged to a real MLflow store in a folder; a store that fails costs nothing but a warning."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from umbel import Losses

mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
umbel_mlflow = pytest.importorskip("umbel_mlflow", reason="umbel-mlflow is not installed")

TREE = OmegaConf.create({"optim": {"lr": 0.1}, "tasks": {"road": {"options": {"root": "${oc.env:SECRET_PLACE}"}}}})
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture
def make_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """A run as observers see it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("SECRET_PLACE", "hunter2")

    def make(steps_done: int = 0) -> Any:
        directory = tmp_path / "first"
        directory.mkdir(exist_ok=True)
        text = OmegaConf.to_yaml(TREE)
        return SimpleNamespace(directory=directory, steps_done=steps_done, log_every=2, recipe_text=lambda: text)

    return make


def drive(run: Any, steps: range, error: BaseException | None = None) -> None:
    """Call the hooks as a training does."""
    umbel_mlflow.umbel_run_started(run=run)
    for step in steps:
        losses = {"road": Losses(torch.tensor(1.0 / step))}
        umbel_mlflow.umbel_step_finished(run=run, step=step, losses=losses, lr=0.1)
    umbel_mlflow.umbel_evaluated(run=run, step=steps.stop - 1, scores={"road/miou": 0.5, "score": float("nan")})
    (run.directory / "report.html").write_text("<!doctype html>")
    umbel_mlflow.umbel_run_finished(run=run, error=error)


def test_a_run_is_logged_and_a_resumed_one_goes_on_in_it(make_run: Callable[..., Any]) -> None:
    drive(make_run(), range(1, 5), RuntimeError("stopped"))
    client = mlflow.tracking.MlflowClient()
    number = client.get_experiment_by_name("umbel").experiment_id
    (stored,) = client.search_runs([number])
    assert stored.info.status == "FAILED"
    assert stored.data.params["optim.lr"] == "0.1"
    assert stored.data.params["tasks.road.options.root"] == "${oc.env:SECRET_PLACE}"
    drive(make_run(4), range(5, 9))
    (stored,) = client.search_runs([number])
    assert stored.info.status == "FINISHED"
    assert stored.data.metrics["road/miou"] == 0.5
    assert "score" not in stored.data.metrics
    history = client.get_metric_history(stored.info.run_id, "train/road/loss")
    assert [(one.step, one.value) for one in history] == [(step, pytest.approx(1 / step)) for step in (2, 4, 6, 8)]
    assert [file.path for file in client.list_artifacts(stored.info.run_id)] == ["report.html"]


def test_nothing_is_logged_without_a_place(make_run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    run = make_run()
    drive(run, range(1, 5))
    assert [path.name for path in run.directory.iterdir()] == ["report.html"]


def test_a_store_that_fails_costs_one_warning(
    make_run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "file" / "store").as_uri())
    with caplog.at_level(logging.WARNING, "umbel_mlflow.tracker"):
        drive(make_run(), range(1, 9))
    assert len([record for record in caplog.records if "nothing more is logged" in record.message]) == 1
