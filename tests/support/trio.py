"""Runs of the three built-in tasks as training leaves them, without training: for what works on finished runs."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from omegaconf import OmegaConf

from umbel.checkpoint.write import write_checkpoint
from umbel.config.load import load_recipe
from umbel.io.run_folder import CHECKPOINTS
from umbel.registry.plugins import Plugins
from umbel.runtime.build import build, build_runtime
from umbel.training.runtime_state import runtime_state_dict

CLASSES = ("sky", "road", "car")
TASKS = f"""
tasks:
  road:
    kind: segmentation
    batch_size: 2
    input_size: [64, 64]
    options: {{root: nowhere, class_names: [{", ".join(CLASSES)}], width: 8, aux_weight: 0}}
  vehicles:
    kind: classification
    batch_size: 2
    input_size: [64, 64]
    options: {{root: nowhere, class_names: [car, bus], mid_channels: 8, reduction: 2}}
  signs:
    kind: detection
    batch_size: 2
    input_size: [64, 64]
    options:
      {{root: nowhere, class_names: [stop, yield], category_ids: [4, 9], neck_channels: [8, 8, 8], depth_mult: 0.33}}
train: {{steps: 1, precision: fp32, device: cpu}}
"""
SMALL = "{depths: [1, 1, 1, 1], dims: [8, 8, 8, 8]}"


def make_run(folder: Path, *overrides: str, model: str = "convnext_atto", model_args: str = SMALL) -> Path:
    """A run's folder with random weights whose batch statistics come from random images, and made-up scores."""
    folder.mkdir(parents=True)
    backbone = f"backbone: {{name: timm, options: {{model: {model}, model_args: {model_args}}}}}\n"
    path = folder / "recipe.yaml"
    path.write_text(backbone + TASKS)
    plugins = Plugins.discover()
    loaded = load_recipe(str(path), overrides, plugins)
    recipe, tree = loaded.typed, loaded.tree
    OmegaConf.save(tree, path)
    tasks, built = build(recipe, plugins, pretrained=False)
    generator = torch.Generator().manual_seed(0)
    built.train()
    with torch.no_grad():
        for _ in range(12):
            images = torch.randint(0, 256, (2, 3, 64, 64), generator=generator, dtype=torch.uint8)
            for name in tasks:
                built(images, name)
        for name, parameter in built.named_parameters():  # logits that differ, boxes worth keeping
            if "classifier" in name or "predictors" in name:
                parameter += 0.5 * torch.randn(parameter.shape, generator=generator)
            if "predictors" in name and name.endswith("bias"):
                parameter += 3  # against the prior that objects are rare
    tensors, state = runtime_state_dict(build_runtime(recipe, tasks, built, 1))
    state |= {"best": {}, "minutes": 0.0, "seed": 0, "total_steps": 1}
    write_checkpoint(folder / CHECKPOINTS, 1, tensors, state)
    scores = {"road/miou": 0.5, "vehicles/top1": 0.75, "signs/map50": 0.25, "signs/map75": None, "score": 0.5}
    (folder / "scores.json").write_text(
        json.dumps({k: v for k, v in scores.items() if k.split("/")[0] in (*tasks, "score")})
    )
    return folder
