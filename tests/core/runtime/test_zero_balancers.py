"""Balancers under DeepSpeed train as they do locally: ZeRO stages 0 to 3, on one and two ranks."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toy_balancer import ToyBalancers
from toys import ToyPlugin

from umbel import balancing
from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError
from umbel.registry.plugins import Plugin, Plugins
from umbel.runtime.build import build, build_runtime
from umbel.training.prepare import prepare
from umbel.training.session import train

WORKER = Path(__file__).resolve().parents[2] / "support" / "zero_balancer_worker.py"
SETTINGS = (
    "backbone.options.dropout=0",
    "backbone.options.norm=false",
    "tasks.second.every=2",
    "tasks.second.weight=3",
    "optim.warmup_steps=0",
    "optim.schedule=constant",
    "optim.clip_norm=0.1",
    "train.steps=8",
    "train.channels_last=false",
    "train.device=cpu",
)
BALANCERS = {
    "loss_scale": ("train.balancer.name=loss_scale",),
    "uncertainty": ("train.balancer.name=uncertainty",),
    "shares": ("train.balancer.name=shares",),
}
NOTHING_WHOLE = {"stage3_param_persistence_threshold": 0}  # else every rank keeps weights as small as these


def batches(world_size: int) -> tuple[str, ...]:
    return tuple(f"tasks.{name}.batch_size={4 // world_size}" for name in ("first", "second"))


@pytest.fixture
def local_weights(recipe_file: Path, tmp_path: Path) -> Callable[..., dict[str, torch.Tensor]]:
    def go(*overrides: str) -> dict[str, torch.Tensor]:
        plugins = Plugins()
        plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
        plugins.register(balancing, Plugin("umbel", "0", "balancers"))
        plugins.register(ToyBalancers(), Plugin("toy-balancers", "1.0", "toys"))
        run = prepare(load_recipe(str(recipe_file), overrides, plugins), tmp_path / "local")
        train(run)
        return dict(run.runtime.model.state_dict())

    return go


def distributed(recipe: Path, out: Path, world_size: int, *overrides: str) -> dict[str, torch.Tensor]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank in range(world_size):
        environment = {
            **os.environ,
            "PYTHONPATH": str(WORKER.parents[2]),
            "OMP_NUM_THREADS": "1",
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(world_size),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        command = [sys.executable, str(WORKER), str(recipe), str(out), *overrides]
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    try:
        for process in processes:
            _, err = process.communicate(timeout=300)
            assert process.returncode == 0, err[-3000:]
    finally:
        for process in processes:  # the others, of one that failed
            process.kill()
            process.communicate()
    return load_file(out)


def test_measured_gradients_are_refused_before_training(recipe_file: Path) -> None:
    plugins = Plugins()
    plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
    plugins.register(balancing, Plugin("umbel", "0", "balancers"))
    overrides = (*SETTINGS, "train.balancer.name=gradient_norm", "deepspeed.zero_optimization.stage=1")
    recipe = load_recipe(str(recipe_file), overrides, plugins).typed
    with pytest.raises(ConfigError, match=r"measures gradients on the backbone.*use loss_scale or uncertainty"):
        build_runtime(recipe, *build(recipe, plugins, pretrained=False), 8)


def test_parameter_without_dimensions_is_refused_by_name(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = Plugins()
    plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
    plugins.register(ToyBalancers(), Plugin("toy-balancers", "1.0", "toys"))
    overrides = (*SETTINGS, "train.balancer.name=shares", "deepspeed.zero_optimization.stage=1")
    recipe = load_recipe(str(recipe_file), overrides, plugins).typed
    tasks, model = build(recipe, plugins, pretrained=False)
    model.balancer.offset = torch.nn.Parameter(torch.zeros(()))
    with pytest.raises(ConfigError, match=r"balancer\.offset: a parameter without dimensions.*shape \(1,\)"):
        build_runtime(recipe, tasks, model, 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stage", "world_size", "zero"),
    [
        *((name, stage, 2, {}) for name in BALANCERS for stage in (0, 1, 2, 3)),
        ("uncertainty", 1, 1, {}),
        ("uncertainty", 3, 1, {}),
        ("uncertainty", 3, 2, NOTHING_WHOLE),
        ("shares", 3, 2, NOTHING_WHOLE),
    ],
)
def test_balancer_is_the_same_under_zero(
    local_weights: Callable[..., dict[str, torch.Tensor]],
    recipe_file: Path,
    tmp_path: Path,
    name: str,
    stage: int,
    world_size: int,
    zero: dict[str, int],
) -> None:
    expected = local_weights(*SETTINGS, *BALANCERS[name], *batches(1))
    block = [f"deepspeed.zero_optimization.{key}={value}" for key, value in {"stage": stage, **zero}.items()]
    found = distributed(
        recipe_file, tmp_path / "w.safetensors", world_size, *SETTINGS, *BALANCERS[name], *batches(world_size), *block
    )
    assert found.keys() == expected.keys()
    assert any(key.startswith("balancer.") for key in found)
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=2e-6, msg=lambda text, key=key: f"{key}: {text}")
