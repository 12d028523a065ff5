"""Real heads on real images with partial labels: a shared pass against a pass for each task, in plain PyTorch."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import nn

from umbel.config.load import load_recipe
from umbel.data.loader import CompositeLoader
from umbel.registry.plugins import Plugins
from umbel.training.engine import Engine
from umbel.training.prepare import prepare

LARGEST = 1e-6  # of the largest gradient


@pytest.fixture
def recipe(shared: Path, tmp_path: Path) -> Path:
    root = shared / "data2" / "pets"
    if not root.is_dir():
        pytest.skip("the pets are not here: put them at ../shared/data2/pets or set UMBEL_SHARED")
    table = {"root": str(root), "format": "csv", "train": "classes", "val": "classes", "split_column": "split"}
    table |= {"train_splits": ["train", "train_nobox"], "images": "images", "image_column": "stem"}
    outline = {"root": str(root), "format": "folders", "more_train_lists": ["train_nobox.txt"], "width": 16}
    heads = {
        "outline": {"kind": "segmentation", "options": {**outline, "aux_width": 8}},
        "breed": {"kind": "classification", "options": {**table, "label_column": "breed", "mid_channels": 16}},
        "head": {"kind": "detection", "options": {"root": str(root), "neck_channels": [16, 24, 32]}},
    }
    content = {
        "backbone": {"options": {"model": "test_convnext", "norm_stats": "frozen"}},
        "sources": {"pets": {"batch_size": 6, "input_size": [96, 96], "workers": 0}},
        "tasks": {name: {**task, "source": "pets"} for name, task in heads.items()},
        "train": {"steps": 4, "precision": "fp32", "device": "cpu"},
    }
    path = tmp_path / "pets.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_gradients_are_those_of_algorithm_1(recipe: Path, tmp_path: Path) -> None:
    run = prepare(load_recipe(str(recipe), (), Plugins.discover()), tmp_path / "run", trial=False)
    steps: Any = CompositeLoader(run.tasks, run.data.train, seed=0, start=0, stop=4, sources=run.data.sources)
    partial = 0
    for batches in steps:
        model = run.model.double().train()
        for module in model.modules():
            if isinstance(module, nn.Dropout | nn.Dropout2d):  # each pass would draw its own
                module.p = 0.0
        model.zero_grad(set_to_none=True)
        apart = copy.deepcopy(model)
        for name, batch in batches.items():
            if batch is not None:
                images = batch.images if batch.rows is None else batch.images[batch.rows]
                run.tasks[name].loss(apart(images, name), batch.targets).total.backward()  # type: ignore[no-untyped-call]
                partial += batch.rows is not None
        Engine(run.runtime, run.tasks).train_step(batches, dict.fromkeys(batches, 1.0), last=False)
        wanted = {name: p.grad for name, p in apart.named_parameters() if p.grad is not None}
        found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        assert found.keys() == wanted.keys()
        largest = max(float(gradient.abs().max()) for gradient in wanted.values())
        gaps = {name: float((found[name] - gradient).abs().max()) for name, gradient in wanted.items()}
        assert max(gaps.values()) <= LARGEST * largest, max(gaps, key=gaps.__getitem__)
    assert partial
