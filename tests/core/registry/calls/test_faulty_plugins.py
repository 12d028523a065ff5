"""Forty faulty plugins, one fault each: the error names whose it is, and comes before step 1 where it can be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from toys import TOY_RECIPE, BrightDataset, BrightTask, ShareError, TinyBackbone, ToyPlugin

from umbel import FeatureSpec, Losses, Sample
from umbel.config.build import build_tasks
from umbel.config.load import load_recipe
from umbel.contract.balancer import Balancer, FixedOptions
from umbel.contract.errors import UmbelError
from umbel.contract.hooks import hookimpl
from umbel.contract.reporter import Reporter
from umbel.registry.plugins import Plugin, Plugins
from umbel.report.data import describe_data
from umbel.training.prepare import prepare
from umbel.training.run import Run
from umbel.training.session import train
from umbel.workflows.check.check import check_data
from umbel.workflows.export.graph import ExportGraph

Method = Callable[..., Any]


def boom(*arguments: Any, **named: Any) -> Any:
    raise KeyError("lost")


def gives(value: Any) -> Method:
    return lambda self, *arguments, **named: value


class EvenBalancer(Balancer):
    Options = FixedOptions

    def factor(self, task: str) -> float:
        return 1.0


class BrokenReporter(Reporter):
    figures = boom


class ListMetric(ShareError):
    def compute(self) -> Any:
        return [0.5]


class VectorMetric(ShareError):
    def compute(self) -> Any:
        return {"closeness": torch.zeros(3)}


class OtherMetric(ShareError):
    def compute(self) -> Any:
        return {"accuracy": torch.zeros(())}


class PickyMetric(ShareError):
    def update(self, predictions: Any, targets: Any) -> None:
        predictions[0].total  # noqa: B018


class BrokenHead(nn.Linear):
    def forward(self, features: Any) -> Any:
        return super().forward(features)


class GreyData(BrightDataset):
    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        return replace(sample, image=sample.image[..., 0])


class Shapeless:
    def __getitem__(self, index: int) -> Any:
        return index


class Unreadable(BrightDataset):
    def __getitem__(self, index: int) -> Sample:
        raise KeyError("lost")


class Repeating(BrightTask):
    """Its loss changes in place what its own backward pass needs."""

    def loss(self, output: Any, targets: Any) -> Losses:
        square = output.exp()
        total = square.sum()
        square.add_(1.0)
        return Losses(total)


def data_of(kind: type) -> Method:
    return lambda self, split: kind(f"{self.name}-{split}", self.options, self.config.input_size)


def bad_augment(image: Callable[[np.ndarray], np.ndarray]) -> Method:
    return lambda self, sample, rng: replace(sample, image=image(sample.image))


@dataclass
class Fault:
    """One faulty plugin: whose class, which of its attributes, and how it shows."""

    name: str
    role: str
    attributes: dict[str, Any]
    says: str
    call: Callable[[Run], object] | None = None  # what shows it, where no batch and no image does
    overrides: tuple[str, ...] = ()
    method: str = ""

    @property
    def shown(self) -> str:
        return self.method or next(iter(self.attributes))


def of_task(name: str, says: str, *, call: Any = None, overrides: tuple[str, ...] = (), method: str = "", **given: Any):
    return Fault(name, "task", given, says, call, overrides, method)


RAISED = "raised KeyError: 'lost' .test_faulty_plugins.py:"
FAULTS = [
    of_task("init", RAISED, __init__=boom),
    of_task("forgets-super", "without calling super", __init__=gives(None)),
    of_task("no-main-metric", "main_metric is None", main_metric=None, method="__init__"),
    of_task("dataset", RAISED, dataset=boom),
    of_task("dataset-type", "returned Shapeless; expected a data set", dataset=gives(Shapeless())),
    of_task("unreadable", "cannot be used: KeyError: 'lost'", dataset=data_of(Unreadable)),
    of_task("grey", r"sample \d+.*image that is ndarray of uint8 \(32, 48\)", dataset=data_of(GreyData)),
    of_task("head", RAISED, head=boom),
    of_task("head-type", "returned None; expected a torch.nn.Module", head=gives(None)),
    of_task(
        "head-recipe",
        "the head cannot be built: no feature level",
        head=lambda self, spec: spec.level(64),
        method="head",
    ),
    of_task("forward", "raised TypeError: linear", head=lambda self, spec: BrokenHead(8, 1), method="head().forward"),
    of_task("augment", "cannot be used: KeyError: 'lost'", augment=boom),
    of_task("augment-size", r"image of \(8, 48\), not \(32, 48\)", augment=bad_augment(lambda image: image[:8])),
    of_task("augment-dtype", "image that is ndarray of float64", augment=bad_augment(lambda image: image / 255)),
    of_task(
        "collate_targets",
        "raised RuntimeError: Could not infer dtype of Car",
        collate_targets=lambda self, targets: torch.as_tensor([Car()]),
    ),
    of_task("collate", "returned tuple of 2 .int.; expected an umbel.Batch", collate=lambda self, samples: (1, 2)),
    of_task("loss", RAISED, loss=boom),
    of_task("loss-type", "returned Tensor of float32 ()", loss=lambda self, output, targets: output.mean()),
    of_task(
        "loss-shape", r"a total that is Tensor of float32 \(4,\)", loss=lambda self, output, targets: Losses(output)
    ),
    of_task("loss-detached", "has no gradient", loss=lambda self, output, targets: Losses(output.mean().detach())),
    of_task("loss-parts", "a part 'x' that is float 1.0", loss=lambda self, o, t: Losses(o.mean(), {"x": 1.0})),
    of_task("loss-in-place", "inplace operation.*backward failed", loss=Repeating.loss),
    of_task("views", "returned list of 0; expected a list of at least one umbel.View", views=gives([])),
    of_task(
        "decode",
        "raised AttributeError: 'Tensor' object has no attribute 'total'",
        decode=lambda self, output, view: output.total,
    ),
    of_task("decode-type", "returned None", decode=gives(None)),
    of_task("decode-count", "returned 2 predictions for 1 image; expected one", decode=gives([0.5, 0.5])),
    of_task("restore", RAISED, restore=boom),
    of_task("merge", RAISED, merge=boom),
    of_task("metric-type", "has no update", metric=gives(3)),
    of_task("metric-update", "no attribute 'total'", metric=gives(PickyMetric()), method="metric().update"),
    of_task("metric-compute", "returned list of 1", metric=gives(ListMetric()), method="metric().compute"),
    of_task(
        "metric-vector", "'closeness' as Tensor of float32", metric=gives(VectorMetric()), method="metric().compute"
    ),
    of_task("metric-main", "gives no 'closeness'", metric=gives(OtherMetric()), method="metric().compute"),
    of_task("reporter", "has no add", reporter=gives(None)),
    of_task("figures", RAISED, reporter=gives(BrokenReporter()), method="reporter().figures"),
    of_task("draw", r"returned ndarray of float64 \(2, 2\)", draw=gives(np.zeros((2, 2)))),
    of_task("to_json", "returned Tensor", to_json=gives(torch.zeros(2))),
    of_task("filter", RAISED, filter=boom),
    of_task("prediction_classes", "returned str 'abc'", prediction_classes=gives("abc")),
    of_task("to_mask", r"returned ndarray of float64 \(2, 2\)", to_mask=gives(np.zeros((2, 2)))),
    of_task("to_coco", "returned dict", to_coco=gives({}), coco_categories=gives([])),
    of_task("coco_categories", "returned int 3", to_coco=gives([]), coco_categories=gives(3), method="coco_categories"),
    of_task("strata", "returned 1 classes for 12 samples", strata=gives(["a"]), overrides=("tasks.first.holdout=0.3",)),
    of_task(
        "inferred_options",
        "'colour', which BrightOptions does not have",
        inferred_options=gives({"colour": 1}),
        call=train,
    ),
    of_task("inferred-type", "'count' as Tensor", inferred_options=gives({"count": torch.ones(1)}), call=train),
    of_task(
        "describe_data",
        "returned int 3",
        describe_data=gives(3),
        call=lambda run: run.tasks["first"].describe_data("train"),
    ),
    of_task("export", "returned None", export=gives(None), call=lambda run: ExportGraph(run.runtime.model, run.tasks)),
    of_task("export_spec", "returned list", export_spec=gives([]), call=lambda run: run.tasks["first"].export_spec()),
    of_task("warp", RAISED, warp=boom, call=lambda run: run.tasks["first"].warp(0.5, None)),
    of_task("tta_variants", RAISED, tta_variants=boom, call=lambda run: run.tasks["first"].tta_variants()),
    of_task(
        "predictions_close",
        RAISED,
        predictions_close=boom,
        call=lambda run: run.tasks["first"].predictions_close(1, 1, 0.1),
    ),
    Fault("backbone-init", "backbone", {"__init__": boom}, RAISED),
    Fault("spec", "backbone", {"__init__": lambda self, options: nn.Module.__init__(self)}, "spec is None"),
    Fault("backbone-forward", "backbone", {"forward": boom}, RAISED),
    Fault("levels", "backbone", {"forward": lambda self, images, task: images}, "returned Tensor of float32"),
    Fault(
        "strides",
        "backbone",
        {"forward": lambda self, images, task: (images[:, :1].expand(-1, 8, -1, -1),)},
        r"level 0 as Tensor of float32 \(4, 8, 32, 48\), where its spec says \(4, 8, 4, 6\)",
    ),
    Fault("bind_tasks", "backbone", {"bind_tasks": boom}, RAISED),
    Fault("load_pretrained", "backbone", {"load_pretrained": boom}, RAISED),
    Fault("stages", "backbone", {"stage_of_parameters": gives({})}, "no stage for conv.weight"),
    Fault(
        "feature_key",
        "backbone",
        {"feature_key": gives(3)},
        "returned int 3",
        lambda run: run.runtime.model.backbone.feature_key("first"),
    ),
    Fault(
        "keep_tasks",
        "backbone",
        {"keep_tasks": boom},
        RAISED,
        lambda run: run.runtime.model.backbone.keep_tasks(("first",)),
    ),
    Fault("summary", "backbone", {"summary": gives(3)}, "returned int 3"),
    Fault("balancer-init", "balancer", {"__init__": boom}, RAISED),
    Fault("factor", "balancer", {"factor": boom}, RAISED),
    Fault("factor-type", "balancer", {"factor": gives("much")}, "returned str 'much'; expected a scalar"),
    Fault("factor-nan", "balancer", {"factor": gives(float("nan"))}, "returned nan", method="balanced"),
    Fault("penalty", "balancer", {"penalty": gives(torch.zeros(3))}, r"returned Tensor of float32 \(3,\)"),
    Fault("observe", "balancer", {"observe": boom}, RAISED),
    Fault("started", "observer", {"umbel_run_started": boom}, RAISED, train),
    Fault("step", "observer", {"umbel_step_finished": boom}, RAISED, train),
    Fault("evaluated", "observer", {"umbel_evaluated": boom}, RAISED, train),
    Fault("finished", "observer", {"umbel_run_finished": boom}, RAISED, train),
]


class Car:
    """What torch can make no tensor of."""


def plugins_with(fault: Fault) -> Plugins:
    bases: dict[str, type] = {"task": BrightTask, "backbone": TinyBackbone, "balancer": EvenBalancer}
    made = {role: type(f"Faulty{role.title()}", (base,), {}) for role, base in bases.items()}
    attributes = fault.attributes
    if fault.role in made:
        made[fault.role] = type(f"Faulty{fault.role.title()}", (bases[fault.role],), attributes)

    class Faulty(ToyPlugin):
        @hookimpl
        def umbel_tasks(self) -> dict[str, type]:
            return {"bright": made["task"]}

        @hookimpl
        def umbel_backbones(self) -> dict[str, type]:
            return {"tiny": made["backbone"]}

        @hookimpl
        def umbel_balancers(self) -> dict[str, type]:
            return {"even": made["balancer"]}

    plugins = Plugins()
    plugins.register(Faulty(), Plugin("faulty-tools", "3.1", "tools"))
    if fault.role == "observer":
        (hook,) = attributes

        def observer(self: object, run: Run) -> None:
            boom()

        observer.__name__ = hook
        plugins.register(type("Watch", (), {hook: hookimpl(observer)})(), Plugin("faulty-tools", "3.1", "watch"))
    return plugins


NAMES = {
    "task": "task 'first'",
    "backbone": "backbone 'tiny'",
    "balancer": "balancer 'even'",
    "observer": "observer 'faulty-tools:watch'",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.role}-{fault.name}")
def test_fault_is_named(fault: Fault, tmp_path: Path) -> None:
    recipe_file = tmp_path / "toy.yaml"
    recipe_file.write_text(TOY_RECIPE)
    plugins = plugins_with(fault)
    overrides = ("tasks.second=null", "train.steps=1", "train.balancer.name=even", *fault.overrides)
    loaded = load_recipe(str(recipe_file), overrides, plugins)

    def show() -> None:
        run = prepare(loaded, tmp_path / "run")
        assert fault.call is not None, "nothing was found before step 1"
        fault.call(run)

    with pytest.raises(UmbelError, match=fault.says) as caught:
        show()
    text = str(caught.value)
    assert NAMES[fault.role] in text or "tasks.first" in text
    assert fault.shown in text
    assert "faulty-tools 3.1" in text
    assert "\n" not in text
    if fault.call is None:
        assert not (tmp_path / "run").exists()
    if "raised" in text and "returned" not in text:
        assert caught.value.__cause__ is not None


def test_there_are_forty() -> None:
    from umbel.registry.calls.model_rules import BACKBONE, BALANCER
    from umbel.registry.calls.task_rules import TASK

    assert len(FAULTS) >= 40
    shown = {(fault.role, fault.shown.partition("(")[0]) for fault in FAULTS}
    rest = {("task", "inspect"), ("balancer", "balanced")} | {
        ("backbone", name) for name in ("inferred_options", "for_export", "complete_state")
    }
    every = {("task", name) for name in TASK} | {("backbone", name) for name in BACKBONE}
    assert (every | {("balancer", name) for name in BALANCER}) - shown <= rest


def test_a_good_plugin_is_left_alone(tmp_path: Path) -> None:
    recipe_file = tmp_path / "toy.yaml"
    recipe_file.write_text(TOY_RECIPE)
    plugins = plugins_with(Fault("none", "task", {}, ""))
    run = prepare(load_recipe(str(recipe_file), ("train.steps=1", "train.balancer.name=even"), plugins), tmp_path)
    assert train(run)["score"] <= 1


def test_inspection_and_report_go_on_past_a_named_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recipe_file = tmp_path / "toy.yaml"
    recipe_file.write_text(TOY_RECIPE)
    plugins = plugins_with(Fault("inspect", "task", {"inspect": boom, "describe_data": boom}, ""))
    tasks = build_tasks(load_recipe(str(recipe_file), ("tasks.second=null",), plugins).typed, plugins)
    report = check_data(tasks, workers=0)
    assert {finding.kind for finding in report.findings} == {"defect"}
    assert "FaultyTask.inspect() of kind 'bright', faulty-tools 3.1 raised KeyError" in report.findings[0].message
    assert describe_data(tasks["first"]) == []
    assert "faulty-tools 3.1" in caplog.text


def test_level_error_of_a_feature_spec_names_what_there_is() -> None:
    with pytest.raises(ValueError, match="no feature level of stride 64"):
        FeatureSpec((8,), (8,)).level(64)
