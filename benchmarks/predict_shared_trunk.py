"""Three tasks on one image: one pass of the trunk for all, against three runs of one task each.

The model is a ConvNeXt-tiny with the light heads that `umbel init` writes, at 256 x 256, with random weights.
"""

from __future__ import annotations

import json
import statistics
import time

import numpy as np

import umbel
from umbel.plugins import Plugins
from umbel.recipe import build_recipe
from umbel.run import build, build_runtime

SIZE = (256, 256)
REPEATS = 15
NAMES = [f"class{number}" for number in range(10)]
TASKS = {
    "road": {"kind": "segmentation", "options": {"width": 64, "aux_weight": 0.0}},
    "vehicles": {"kind": "classification", "options": {"mid_channels": 128}},
    "signs": {"kind": "detection", "options": {"depth_mult": 0.33, "neck_channels": [64, 96, 128]}},
}


def build_model() -> umbel.Trained:
    from omegaconf import OmegaConf

    plugins = Plugins.discover()
    common = {"batch_size": 1, "input_size": list(SIZE)}
    tasks = {
        name: {**task, **common, "options": {**task["options"], "root": "none", "class_names": NAMES}}
        for name, task in TASKS.items()
    }
    tree = {
        "tasks": tasks,
        "backbone": {"name": "timm", "options": {"model": "convnext_tiny"}},
        "train": {"steps": 1, "precision": "fp32"},
    }
    recipe = build_recipe(OmegaConf.create(tree), plugins, "benchmark")
    built, model = build(recipe, plugins, pretrained=False)
    return umbel.Trained(recipe, built, build_runtime(recipe, built, model, 1))


def seconds(model: umbel.Trained, image: np.ndarray, task: str | None) -> float:
    started = time.perf_counter()
    model.predict(image, task)
    return time.perf_counter() - started


def main() -> None:
    model = build_model()
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    together, apart = [], []
    for repeat in range(REPEATS + 2):
        one, three = seconds(model, image, None), sum(seconds(model, image, name) for name in TASKS)
        if repeat >= 2:  # the first passes prepare memory and kernels
            together.append(one)
            apart.append(three)
    medians = statistics.median(together), statistics.median(apart)
    ratio = medians[0] / medians[1]
    print(f"three tasks at once {medians[0]:.3f} s, one after another {medians[1]:.3f} s: {ratio:.2f}")
    figures = {"together_s": medians[0], "apart_s": medians[1], "ratio": ratio}
    print(json.dumps({"benchmark": "predict_shared_trunk", **figures}))


if __name__ == "__main__":
    main()
