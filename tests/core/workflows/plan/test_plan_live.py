"""Predicted model states against the live tensors of DeepSpeed's engine, by process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from umbel.workflows.plan.states import Sharding, Weights, model_states

pytest.importorskip("deepspeed")
pytestmark = pytest.mark.slow

WORKER = """
import gc, json, sys
import torch
from omegaconf import OmegaConf
from toys import ToyPlugin
from umbel.runtime.optim import build_optimizer
from umbel.registry.plugins import Plugin, Plugins
from umbel.runtime.ranks import exit_now, init_process_group, ranks_from_env
from umbel.config.check import build_recipe
from umbel.training.prepare import build
from umbel.runtime.deepspeed import DeepSpeedRuntime

torch.set_num_threads(1)
ranks = ranks_from_env()
init_process_group(ranks, torch.device("cpu"), 120)
plugins = Plugins()
plugins.register(ToyPlugin(), Plugin("toy-tasks", "1.0", "toys"))
task = {"kind": "bright", "batch_size": 2, "input_size": [16, 16]}
def live():
    gc.collect()
    sizes = {}
    for thing in gc.get_objects():
        if isinstance(thing, torch.Tensor) and thing.device.type == "cpu":
            for tensor in (thing, thing.grad if thing.is_leaf else None, getattr(thing, "ds_tensor", None)):
                if tensor is not None:
                    storage = tensor.untyped_storage()
                    sizes[storage.data_ptr()] = storage.nbytes()
    return sum(sizes.values())

def measure(stage):
    block = {"stage": stage, "reduce_bucket_size": 1000, "allgather_bucket_size": 1000}
    if stage == 3:
        block |= {"stage3_param_persistence_threshold": 0, "stage3_prefetch_bucket_size": 1000}
    recipe = build_recipe(OmegaConf.create({
        "backbone": {"name": "tiny", "options": {"width": 16384, "norm": False}},
        "tasks": {"first": task, "second": task},
        "train": {"precision": "fp32", "steps": 9, "device": "cpu", "ema_decay": 0.9},
        "optim": {"warmup_steps": 0},
        "deepspeed": {"zero_optimization": block},
    }), plugins, "test")
    before = live()
    tasks, model = build(recipe, plugins, pretrained=False)
    trained = [p.numel() for p in model.parameters()]
    optimizer = build_optimizer(model, tasks, recipe.optim)
    runtime = DeepSpeedRuntime(model, optimizer, recipe, precision="fp32", total_steps=9, ranks=ranks)
    runtime.model.train()

    def backwards():
        for name in tasks:
            images = torch.zeros((2, 3, 16, 16), dtype=torch.uint8)
            runtime.backward(tasks[name].loss(runtime.forward(images, name), torch.zeros(2)).total)

    backwards()
    runtime.step()  # Adam's moments are made here
    backwards()
    return {"trained": trained, "live": live() - before}

found = [measure(stage) for stage in (0, 1, 2, 3)]
if ranks.is_main_process:
    print(json.dumps(found))
torch.distributed.barrier()
exit_now(0)
"""


@pytest.mark.parametrize("world", [1, 2, 4])
def test_live_bytes_are_within_a_tenth(world: int, tmp_path: Path, repository: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(repository / "tests" / "support"),
        "DS_ACCELERATOR": "cpu",
    }
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    done = subprocess.run(
        [*command, str(script)], capture_output=True, text=True, timeout=500, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    stages = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[")))
    sharding = Sharding(averaged=True, persistent=0, bucket=0)
    predicted = [model_states(Weights(tuple(s["trained"])), n, world, sharding).total for n, s in enumerate(stages)]
    assert sum(stages[0]["trained"]) > 3_000_000
    assert predicted == pytest.approx([stage["live"] for stage in stages], rel=0.1)
