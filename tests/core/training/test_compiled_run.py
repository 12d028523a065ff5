"""Compiled runs of the three real tasks: one graph a task with evaluations between, and the weights of an eager run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._dynamo.backends.registry import lookup_backend
from trio_data import write_trio

from umbel.config.load import load_recipe
from umbel.registry.plugins import Plugins
from umbel.runtime import build, compiled
from umbel.training.prepare import prepare
from umbel.training.session import train

BATCH_NORM = "{depths: [1, 1, 1, 1], dims: [8, 8, 8, 8], norm_layer: batchnorm2d}"
PLAIN = (
    "train.precision=fp32",
    "optim.warmup_steps=0",
    "optim.schedule=constant",
    "optim.eps=1e-3",  # far above rounding: with a tiny one AdamW steps by the learning rate along noise
)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of nodes of every graph that is compiled."""
    found: list[int] = []
    inner = lookup_backend("aot_eager")

    def counting(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., object]:
        found.append(len(graph.graph.nodes))
        result: Callable[..., object] = inner(graph, inputs)
        return result

    monkeypatch.setattr(compiled, "_BACKEND", counting)
    return found


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_trio(tmp_path)


def trained(recipe: Path, out: str, *overrides: str, resume: bool = False) -> dict[str, Tensor]:
    """Weights and averages after training."""
    loaded = load_recipe(str(recipe), [*PLAIN, *overrides], Plugins.discover())
    run = prepare(loaded, recipe.parent / out, trial=False)
    train(run, resume=resume)
    weights, average = run.runtime.weights(), run.runtime.average_weights()
    return {**weights, **{f"average of {name}": value for name, value in average.items()}}


def assert_alike(got: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-5) -> None:
    assert list(got) == list(expected)
    for name, value in expected.items():
        torch.testing.assert_close(
            got[name], value, rtol=tolerance, atol=tolerance, msg=lambda m, name=name: f"{name}: {m}"
        )


def test_fifty_steps_with_evaluations_between_compile_three_graphs(recipe: Path, graphs: list[int]) -> None:
    trained(recipe, "run", "train.compile=on", "train.steps=50", "train.eval_every=10")
    assert len(graphs) == 3


@pytest.mark.parametrize(
    "overrides",
    [
        ("train.ema_decay=0.5", "train.eval_every=2", "train.balancer.name=gradient_norm"),
        ("backbone.options.grad_checkpointing=true", "backbone.options.drop_path=0.3"),
        pytest.param((f"backbone.options.model_args={BATCH_NORM}", "train.accumulate=2"), marks=pytest.mark.slow),
        pytest.param(
            (f"backbone.options.model_args={BATCH_NORM}", "backbone.options.grad_checkpointing=true"),
            marks=pytest.mark.slow,
        ),
        pytest.param(("train.balancer.name=uncertainty", "backbone.options.freeze=true"), marks=pytest.mark.slow),
    ],
)
def test_as_without_a_compiler(recipe: Path, graphs: list[int], overrides: tuple[str, ...]) -> None:
    expected = trained(recipe, "eager", "train.compile=off", *overrides)
    assert not graphs
    assert_alike(trained(recipe, "compiled", "train.compile=on", *overrides), expected)
    assert len(graphs) == 3


def test_resumed_compiled_as_never_interrupted(recipe: Path, graphs: list[int]) -> None:
    settings = ("train.compile=on", "train.save_every=2")
    whole = trained(recipe, "run", *settings)
    shutil.rmtree(recipe.parent / "run" / "checkpoints" / "step-00000004")
    assert_alike(trained(recipe, "run", *settings, resume=True), whole, tolerance=0.0)
    assert len(graphs) == 6


def test_nothing_is_compiled_on_a_cpu_unless_the_recipe_says_so(recipe: Path) -> None:
    loaded = load_recipe(str(recipe), PLAIN, Plugins.discover())
    run = prepare(loaded, recipe.parent / "run", trial=False)
    assert build.compile_model(loaded.typed, run.model) is None
