"""Compiled training passes: one graph a task, eager everywhere else, and a way on where there is no graph."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.backends.registry import lookup_backend
from toys import TinyBackbone, TinyOptions

from umbel.contract.errors import ConfigError
from umbel.model.model import MultiTaskModel
from umbel.runtime import compiled
from umbel.runtime.compiled import CompiledModel

SHAPE = (2, 3, 16, 16)


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 4, 1)

    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        return self.conv(features[0])


class BreakingHead(Head):
    def forward(self, features: tuple[Tensor, ...]) -> Tensor:
        torch._dynamo.graph_break()
        return super().forward(features)


class BreakingBackbone(TinyBackbone):
    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        torch._dynamo.graph_break()
        return super().forward(images, task)


class Counter:
    """A backend that counts graphs and runs them as they are."""

    def __init__(self, backend: str) -> None:
        self.backend = lookup_backend(backend)
        self.graphs: list[int] = []

    def __call__(self, graph: Any, inputs: Any) -> Any:
        self.graphs.append(len(list(graph.graph.nodes)))
        return self.backend(graph, inputs)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter = Counter("aot_eager")
    monkeypatch.setattr(compiled, "_BACKEND", counter)
    return counter


def new(names: tuple[str, ...] = ("a", "b"), head: type[Head] = Head, **given: Any) -> CompiledModel:
    torch.manual_seed(0)
    backbone = given.pop("backbone", TinyBackbone)(TinyOptions(dropout=0.5))
    model = MultiTaskModel(backbone, {name: head() for name in names})
    return CompiledModel(
        model, dict.fromkeys(names, SHAPE), must=given.pop("must", True), repeats_backward=given.pop("repeats", False)
    )


def images(shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def outcome(run: Callable[[Tensor, str], Tensor], model: nn.Module, task: str) -> list[Tensor]:
    """Output, gradients and buffers of a pass with dropout."""
    model.zero_grad()
    torch.manual_seed(3)
    output = run(images(), task)
    output.square().sum().backward()
    gradients = [torch.zeros(()) if p.grad is None else p.grad.clone() for p in model.parameters()]
    return [output.detach(), *gradients, *(buffer.clone() for buffer in model.buffers())]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == compiled.__name__ and record.levelno == logging.WARNING
    ]


def test_a_graph_for_each_task_however_many_there_are_and_often_they_run(counter: Counter) -> None:
    names = tuple("abcdefghijkl")  # more than the graphs that torch keeps of one function
    run = new(names)
    for _ in range(3):
        for name in names:
            run(images(), name).sum().backward()
    assert len(counter.graphs) == len(names)


def test_the_same_outputs_gradients_and_buffers_as_without(counter: Counter) -> None:
    run = new()
    plain = copy.deepcopy(run.model)
    for name in ("a", "b", "a"):
        for got, expected in zip(outcome(run, run.model, name), outcome(plain, plain, name), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    assert len(counter.graphs) == 2


def test_names_stay(counter: Counter) -> None:
    run = new()
    before = list(run.model.state_dict()), [name for name, _ in run.model.named_parameters()]
    run(images(), "a")
    assert (list(run.model.state_dict()), [name for name, _ in run.model.named_parameters()]) == before


def test_evaluation_and_other_shapes_compile_nothing(counter: Counter) -> None:
    run = new()
    run(images((1, 3, 16, 16)), "a")
    run(images((2, 3, 32, 16)), "a")
    with torch.no_grad():
        run(images(), "a")
    run.model.eval()
    run(images(), "a")
    assert counter.graphs == []
    run.model.train()
    run(images(), "a")
    assert len(counter.graphs) == 1


def test_a_head_without_a_graph_leaves_the_backbone_compiled(
    counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    run = new(head=BreakingHead)
    plain = copy.deepcopy(run.model)
    for got, expected in zip(outcome(run, run.model, "a"), outcome(plain, plain, "a"), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    run(images(), "a")
    assert len(counter.graphs) == 1
    assert [message.split(": ")[1] for message in warnings(caplog)] == [
        "backbone and head cannot be compiled as one graph"
    ]


def test_a_backbone_without_a_graph_runs_eagerly(counter: Counter, caplog: pytest.LogCaptureFixture) -> None:
    run = new(backbone=BreakingBackbone)
    plain = copy.deepcopy(run.model)
    for _ in range(2):
        for got, expected in zip(outcome(run, run.model, "a"), outcome(plain, plain, "a"), strict=True):
            assert torch.equal(got, expected)
    assert counter.graphs == []
    assert warnings(caplog)[-1] == "task 'a' trains without a compiler"


def test_an_error_of_the_head_is_its_own(counter: Counter) -> None:
    class Faulty(Head):
        def forward(self, features: tuple[Tensor, ...]) -> Tensor:
            raise ConfigError("the head refuses")

    with pytest.raises(ConfigError, match="the head refuses"):
        new(head=Faulty)(images(), "a")


def broken(graph: Any, inputs: Any) -> Any:
    raise OSError("no assembler\nand more lines")


def test_a_compiler_that_fails_ends_the_run_where_it_must_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_BACKEND", broken)
    with pytest.raises(ConfigError) as caught:
        new()(images(), "b")
    assert caught.value.message == "the compiler fails at task 'b': OSError: no assembler"
    assert caught.value.hint == "train.compile=off"


def test_a_compiler_that_fails_is_done_without_where_it_may(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(compiled, "_BACKEND", broken)
    run = new(must=False)
    plain = copy.deepcopy(run.model)
    for got, expected in zip(outcome(run, run.model, "a"), outcome(plain, plain, "a"), strict=True):
        assert torch.equal(got, expected)
    assert warnings(caplog)[0] == "the compiler fails at task 'a': OSError: no assembler"


def test_a_graph_can_be_walked_twice_where_a_balancer_needs_it(counter: Counter) -> None:
    run = new(repeats=True)
    output = run(images(), "a").sum()
    once = torch.autograd.grad(output, list(run.model.backbone.parameters()), retain_graph=True)
    output.backward()
    for gradient, parameter in zip(once, run.model.backbone.parameters(), strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(gradient, parameter.grad)


@pytest.mark.slow
def test_inductor_draws_the_same_dropout() -> None:
    run = new()
    plain = copy.deepcopy(run.model)
    expected = outcome(plain, plain, "a")
    whole = torch.cat([value.flatten() for value in expected]).norm()
    for got, value in zip(outcome(run, run.model, "a"), expected, strict=True):
        assert float((got - value).double().norm()) <= 1e-5 * max(float(value.double().norm()), 1e-3 * float(whole))
