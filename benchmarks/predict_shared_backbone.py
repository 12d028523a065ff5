"""Three tasks on one image: one pass of the backbone for all, against three runs of one task each.

The model is a ConvNeXt-tiny with the light heads that `umbel init` writes, at 256 x 256, with random weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from measure import arguments, medians, ratio, side_by_side
from omegaconf import OmegaConf
from report import Claim, milliseconds, publish

import umbel
from umbel.config.check import build_recipe
from umbel.contract.types import Size
from umbel.registry.plugins import Plugins
from umbel.runtime.build import build, build_runtime

BACKBONE, SIZE = "convnext_tiny", (256, 256)
NAMES = [f"class{number}" for number in range(10)]
TASKS = {
    "road": {"kind": "segmentation", "options": {"width": 64, "aux_weight": 0.0}},
    "vehicles": {"kind": "classification", "options": {"mid_channels": 128}},
    "signs": {"kind": "detection", "options": {"depth_mult": 0.33, "neck_channels": [64, 96, 128]}},
}


def build_model(backbone: str, size: Size) -> umbel.TrainedModel:
    plugins = Plugins.discover()
    common = {"batch_size": 1, "input_size": list(size)}
    tasks = {
        name: {**task, **common, "options": {**task["options"], "root": "none", "class_names": NAMES}}
        for name, task in TASKS.items()
    }
    tree = {
        "tasks": tasks,
        "backbone": {"name": "timm", "options": {"model": backbone}},
        "train": {"steps": 1, "precision": "fp32"},
    }
    recipe = build_recipe(OmegaConf.create(tree), plugins, "benchmark")
    built, model = build(recipe, plugins, pretrained=False)
    return umbel.TrainedModel(recipe, built, build_runtime(recipe, built, model, 1))


def asking(model: umbel.TrainedModel, image: np.ndarray, tasks: tuple[str | None, ...]) -> Callable[[], None]:
    """Predictions for one image; None asks for all tasks at once."""

    def run() -> None:
        for task in tasks:
            model.predict(image, task)

    return run


def main() -> None:
    quick = arguments(__doc__).quick
    backbone, size = ("convnext_atto", (64, 64)) if quick else (BACKBONE, SIZE)
    model = build_model(backbone, size)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    runs = {"at once": asking(model, image, (None,)), "one after another": asking(model, image, tuple(TASKS))}
    times = side_by_side(runs, 2 if quick else 15, warm_up=2)
    rows = [(f"three tasks {name}", milliseconds(value)) for name, value in medians(times).items()]
    claim = Claim("three tasks at once / one after another", ratio(times, *runs), 0.5)
    publish("predict_shared_backbone", ("prediction of one image", "ms"), rows, [claim])


if __name__ == "__main__":
    main()
