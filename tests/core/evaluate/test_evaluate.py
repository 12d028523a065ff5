"""Evaluation against predictions made one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torchmetrics import Metric
from toys import BrightTask

from umbel.config.load import load_recipe
from umbel.contract.errors import PluginError
from umbel.evaluate.evaluate import evaluate, evaluate_task, scores_to_json
from umbel.registry.plugins import Plugins
from umbel.training.prepare import prepare
from umbel.training.run import Run


@pytest.fixture
def prepared(recipe_file: Path, new_plugins: Callable[[], Plugins], tmp_path: Path) -> Run:
    plugins = new_plugins()
    loaded = load_recipe(str(recipe_file), ("tasks.first.batch_size=5", "train.ema_decay=0.9"), plugins)
    return prepare(loaded, tmp_path / "unused")


def test_scores_are_those_of_single_predictions(prepared: Run) -> None:
    run = prepared
    scores = evaluate(run.runtime, run.tasks, run.data.val, "first.closeness * 2")
    run.runtime.model.eval()
    for name, data in run.data.val.items():
        errors = []
        for index in range(len(data)):  # type: ignore[arg-type]
            pixels = torch.from_numpy(data[index].image).permute(2, 0, 1)[None]
            with torch.no_grad():
                errors.append(abs(float(run.runtime.model(pixels, name)) - data[index].target))
        assert scores[f"{name}/closeness"] == pytest.approx(1 - sum(errors) / len(errors), abs=1e-6)
    assert scores["score"] == pytest.approx(2 * scores["first/closeness"])
    assert list(scores) == ["first/closeness", "second/closeness", "score"]


def test_evaluation_leaves_the_model_training_and_unchanged(prepared: Run) -> None:
    before = {name: value.clone() for name, value in prepared.runtime.model.state_dict().items()}
    prepared.runtime.model.train()
    evaluate(prepared.runtime, prepared.tasks, prepared.data.val, "mean")
    assert prepared.runtime.model.training
    for name, value in prepared.runtime.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_metric_without_its_main_value_names_the_task(prepared: Run) -> None:
    class Misnamed(BrightTask):
        main_metric = "accuracy"

        def metric(self) -> Metric:
            return super().metric()

    task = Misnamed("first", prepared.tasks["first"].config, prepared.tasks["first"].options)
    with pytest.raises(PluginError, match=r"tasks\.first: the metric of Misnamed gives no 'accuracy'.*closeness"):
        evaluate_task(prepared.runtime, task, prepared.data.val["first"])


def test_undefined_scores_are_null_in_json() -> None:
    text = json.dumps(scores_to_json({"a": 0.5, "b": float("nan"), "c": float("-inf")}), allow_nan=False)
    assert json.loads(text) == {"a": 0.5, "b": None, "c": None}
