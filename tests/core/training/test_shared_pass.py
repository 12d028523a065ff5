"""Tasks that share a pass of the backbone against the sum of their losses in plain PyTorch, in float64."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from zero_toys import BATCHES, WEIGHTS, make_runtime

from umbel.contract.types import Batch
from umbel.training.engine import Engine
from umbel.training.shared_pass import SharedFeatures

IMAGES = 5
SIDE = 32
NAMES = list(BATCHES)
SOURCES = [("s", "s", "s"), ("s", None, "s"), ("s", "t", "t")]
SOME = {"first": [True] * 5, "second": [False, True, False, True, True], "third": [True] * 5}
some_rows = st.lists(st.booleans(), min_size=IMAGES, max_size=IMAGES)


def new_engine(sources: dict[str, str | None], **options: Any) -> Engine:
    tasks, runtime = make_runtime(None, {}, **options)
    for name, task in tasks.items():
        task.config = replace(task.config, source=sources.get(name), input_size=(SIDE, SIDE), batch_size=IMAGES)
    runtime.model.double()
    runtime.model.train()
    return Engine(runtime, tasks)


def shared_batches(labelled: dict[str, list[bool]], seed: int = 0) -> dict[str, Batch | None]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator).double()
    batches: dict[str, Batch | None] = {}
    for name, has in labelled.items():
        targets = torch.rand(IMAGES, generator=generator).double()
        rows = torch.tensor(has).nonzero()[:, 0]
        ids = tuple(f"{name}-{row}" for row in rows.tolist())
        batch = Batch(images, targets[rows], ids, ((SIDE, SIDE),) * len(rows), None if all(has) else rows)
        batches[name] = batch if len(rows) else None
    return batches


def gradients_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in model.named_parameters()}


def algorithm_1(engine: Engine, batches: dict[str, Batch | None]) -> dict[str, Tensor]:
    """Every task's labelled images through a backbone of its own pass, all losses in one graph."""
    model = copy.deepcopy(engine.runtime.model)
    total = torch.zeros((), dtype=torch.float64)
    for name, batch in batches.items():
        if batch is not None:
            images = batch.images if batch.rows is None else batch.images[batch.rows]
            output = model.heads[name](model.backbone((images - 127.5) / 63.75, name))
            total = total + WEIGHTS[name] * engine.tasks[name].loss(output, batch.targets).total
    total.backward()
    return gradients_of(model)


def largest_gap(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    scale = max(float(value.abs().max()) for value in theirs.values())
    return max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) / scale


@settings(deadline=None)
@given(
    st.tuples(some_rows, some_rows, some_rows), st.sampled_from([("s", "s", "s"), ("s", None, "s"), ("s", "t", "t")])
)
def test_gradients_are_those_of_algorithm_1(labels: Any, sources: Any) -> None:
    if not any(map(any, labels)):
        return
    engine = new_engine(dict(zip(NAMES, sources, strict=True)))
    batches = shared_batches(dict(zip(NAMES, labels, strict=True)))
    for name, source in zip(NAMES, sources, strict=True):
        if source is None and batches[name] is not None:  # a task on its own has its own images, all labelled
            batches |= {name: shared_batches({name: [True] * IMAGES}, seed=1)[name]}
    expected = algorithm_1(engine, batches)
    engine.train_step(batches, WEIGHTS, last=False)
    assert largest_gap(gradients_of(engine.runtime.model), expected) <= 1e-12


def test_losses_come_in_the_order_of_the_step() -> None:
    engine = new_engine({"first": "s", "third": "s"})
    batches = shared_batches(dict.fromkeys(NAMES, [True] * IMAGES))
    assert list(engine.train_step(batches, WEIGHTS)) == NAMES


def test_the_backbone_runs_once_for_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []
    engine = new_engine(dict.fromkeys(NAMES, "s"))
    engine.runtime.model.backbone.register_forward_hook(lambda *_: passes.append("forward"))
    engine.runtime.model.backbone.conv.weight.register_hook(lambda _: passes.append("backward"))
    engine.train_step(
        shared_batches({"first": [True] * 5, "second": [True, False] * 2 + [True], "third": [True] * 5}), WEIGHTS
    )
    assert passes == ["forward", "backward"]


def test_a_source_of_one_task_has_the_bits_of_a_task_on_its_own() -> None:
    alone, grouped = new_engine({}), new_engine({"first": "s"})
    for step in range(4):
        batches = shared_batches({"first": [True] * IMAGES}, seed=step)
        for engine in (alone, grouped):
            torch.manual_seed(step)
            engine.train_step(batches, WEIGHTS)
    for one, other in zip(alone.runtime.model.parameters(), grouped.runtime.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_measured_norms_are_those_of_the_tasks_alone() -> None:
    engine = new_engine(dict.fromkeys(NAMES, "s"))
    batches = shared_batches(SOME)
    model = engine.runtime.model
    features = SharedFeatures(model.features(batches["first"].images, "first"))  # type: ignore[union-attr]
    parameters = list(model.backbone.parameters())
    for name, batch in batches.items():
        assert batch is not None
        loss = engine.tasks[name].loss(model.heads[name](features.rows(batch.rows)), batch.targets).total
        ours = torch.autograd.grad(features.reached_by(loss), parameters, retain_graph=True)
        images = batch.images if batch.rows is None else batch.images[batch.rows]
        output = model.heads[name](model.backbone((images - 127.5) / 63.75, name))
        single = torch.autograd.grad(engine.tasks[name].loss(output, batch.targets).total, parameters)
        for one, other in zip(ours, single, strict=True):
            assert torch.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_frozen_backbone_is_not_walked_back() -> None:
    engine = new_engine(dict.fromkeys(NAMES, "s"))
    engine.runtime.model.backbone.requires_grad_(False)
    batches = shared_batches(dict.fromkeys(NAMES, [True] * IMAGES))
    engine.train_step(batches, WEIGHTS, last=False)
    found = gradients_of(engine.runtime.model)
    assert all(not value.any() for name, value in found.items() if name.startswith("backbone"))
    assert all(value.any() for name, value in found.items() if name.startswith("heads"))


def test_the_guard_names_the_task_within_its_source() -> None:
    from umbel.contract.errors import TrainingError

    engine = new_engine(dict.fromkeys(NAMES, "s"))
    before = copy.deepcopy(engine.runtime.model.state_dict())
    engine.runtime.model.heads["second"].linear.weight.register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(TrainingError, match="the gradient of task 'second' is not finite"):
        engine.train_step(shared_batches(dict.fromkeys(NAMES, [True] * IMAGES)), WEIGHTS)
    for name, value in engine.runtime.model.state_dict().items():
        assert torch.equal(value, before[name])
