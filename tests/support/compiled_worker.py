"""One process of several that train the three real tasks eagerly and compiled: python compiled_worker.py RECIPE OUT."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch._dynamo.backends.registry import lookup_backend

from umbel.config.load import load_recipe
from umbel.registry.plugins import Plugins
from umbel.runtime import compiled
from umbel.runtime.ranks import exit_now
from umbel.training.prepare import prepare
from umbel.training.session import train

SETTINGS = ("train.precision=fp32", "train.steps=2", "train.eval_every=1", "optim.warmup_steps=0", "optim.eps=1e-3")


def main(recipe: str, out: str) -> None:
    """Write the weights of each stage, eager and compiled; one graph a task."""
    torch.set_num_threads(1)
    graphs: list[int] = []
    inner = lookup_backend("aot_eager")

    def counting(graph: Any, inputs: Any) -> Any:
        graphs.append(len(graph.graph.nodes))
        return inner(graph, inputs)

    compiled._BACKEND = counting
    for stage in (0, 1):
        for wanted, expected in (("off", 0), ("on", 3)):
            graphs.clear()
            overrides = [*SETTINGS, f"train.compile={wanted}", f"deepspeed.zero_optimization.stage={stage}"]
            name = f"{stage}-{wanted}"
            run = prepare(load_recipe(recipe, overrides, Plugins.discover()), Path(out) / name, trial=False)
            train(run)
            weights = run.runtime.weights()
            if run.is_main_process:
                save_file(
                    {key: value.contiguous() for key, value in weights.items()}, Path(out) / f"{name}.safetensors"
                )
            assert len(graphs) == expected, f"stage {stage}: {len(graphs)} graphs"


if __name__ == "__main__":
    main(*sys.argv[1:])
    exit_now(0)
