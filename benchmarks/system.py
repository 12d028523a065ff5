"""The system under measurement: umbel's three tasks on a ConvNeXt, without data, with random batches on hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor

from umbel.config.check import build_recipe
from umbel.config.schema import Recipe
from umbel.contract.collate import stack_images
from umbel.contract.task import Task
from umbel.contract.types import Batch, Sample, Size
from umbel.model.model import MultiTaskModel
from umbel.registry.plugins import Plugins
from umbel.runtime.build import build, build_runtime
from umbel.runtime.malloc import keep_freed_memory
from umbel.tasks.detection.prediction import BoxTarget
from umbel.training.engine import Engine

SEGMENTATION, CLASSIFICATION, DETECTION = "segmentation", "classification", "detection"
CLASSES = {SEGMENTATION: 19, CLASSIFICATION: 196, DETECTION: 45}
SMALL = {SEGMENTATION: {"width": 64}, CLASSIFICATION: {"mid_channels": 64}, DETECTION: {"neck_channels": [48, 96, 128]}}


@dataclass
class System:
    """Tasks, a model, and a batch of each task."""

    recipe: Recipe
    tasks: dict[str, Task[Any]]
    model: MultiTaskModel
    batches: dict[str, Batch]

    @property
    def images(self) -> int:
        return sum(len(batch.ids) for batch in self.batches.values())


def new_system(
    tasks: Mapping[str, tuple[str, int, Size]],
    *,
    model: str = "convnext_atto",
    train: Mapping[str, Any] | None = None,
    task_keys: Mapping[str, Any] | None = None,
    deepspeed: Mapping[str, Any] | None = None,
    heads: Mapping[str, Mapping[str, Any]] = SMALL,
) -> System:
    """A system from tasks: name to (kind, batch size, input size); `heads` has each kind's options."""
    keep_freed_memory()
    plugins = Plugins.discover()
    content = {
        "backbone": {"name": "timm", "options": {"model": model}},
        "tasks": {
            name: {
                "kind": kind,
                "batch_size": count,
                "input_size": list(size),
                "options": {"root": "none", "class_names": [str(n) for n in range(CLASSES[kind])], **heads[kind]},
                **(task_keys or {}),
            }
            for name, (kind, count, size) in tasks.items()
        },
        "optim": {"clip_norm": 1.0, "warmup_steps": 0},
        "train": {"steps": 10**6, "precision": "fp32", "device": "cpu", **(train or {})},
        "deepspeed": deepspeed,
    }
    recipe = build_recipe(OmegaConf.create(content), plugins, "benchmark")
    built, network = build(recipe, plugins, pretrained=False)
    network.train()
    batches = {name: random_batch(task, tasks[name][0]) for name, task in built.items()}
    return System(recipe, built, network, batches)


def three_tasks(quick: bool, scale: int = 1) -> dict[str, tuple[str, int, Size]]:
    """One task of each kind, in sizes whose steps take about a second on two cores."""
    side = 64 if quick else 128 * scale
    return {
        "road": (SEGMENTATION, 2 if quick else 4, (side, 2 * side)),
        "cars": (CLASSIFICATION, 2 if quick else 8, (side, side)),
        "signs": (DETECTION, 2 if quick else 4, (2 * side, 2 * side)),
    }


def random_batch(task: Task[Any], kind: str) -> Batch:
    """A batch of noise with labels of the task's kind."""
    rng = np.random.default_rng(0)
    size, count = task.config.input_size, task.config.batch_size
    samples = [
        Sample(rng.integers(0, 256, (*size, 3), np.uint8), random_target(kind, size, rng), str(n), size)
        for n in range(count)
    ]
    targets = task.collate_targets([sample.target for sample in samples])
    return Batch(stack_images(samples), targets, tuple(s.id for s in samples), tuple(s.size for s in samples))


def random_target(kind: str, size: Size, rng: np.random.Generator) -> Any:
    if kind == SEGMENTATION:
        return rng.integers(0, CLASSES[kind], size).astype(np.uint8)
    if kind == CLASSIFICATION:
        return int(rng.integers(CLASSES[kind]))
    corners = rng.uniform(0, 0.8, (5, 2)) * size[::-1]
    boxes = np.concatenate((corners, corners + rng.uniform(0.05, 0.2, (5, 2)) * size[::-1]), axis=1)
    return BoxTarget(boxes.astype(np.float32), rng.integers(0, CLASSES[kind], 5), np.zeros(5, bool))


class EngineStep:
    """umbel's own step over the batches on hand."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.runtime = build_runtime(system.recipe, system.tasks, system.model, 10**6)
        self.weights = {name: task.config.weight for name, task in system.tasks.items()}
        self.runtime.model.train()

    def __call__(self) -> None:
        Engine(self.runtime, self.system.tasks).train_step(self.system.batches, self.weights)


class LoopStep:
    """What one would write by hand: a backward a task, clipping, one AdamW step.

    Args:
        system: tasks, model, batches.
        summed: one backward of the sum of the losses, as frameworks suggest, in place of one a task.
        channels_last: memory format of the images; the model is as it is.
    """

    def __init__(self, system: System, summed: bool = False, channels_last: bool = True) -> None:
        self.system = system
        self.summed = summed
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.images = {name: batch.images.to(memory_format=layout) for name, batch in system.batches.items()}
        optim = system.recipe.optim
        self.optimizer = torch.optim.AdamW(system.model.parameters(), lr=optim.lr, weight_decay=optim.weight_decay)

    def __call__(self) -> None:
        total: Tensor | float = 0.0
        for name, task in self.system.tasks.items():
            loss = task.loss(self.system.model(self.images[name], name), self.system.batches[name].targets).total
            if self.summed:
                total = total + loss
            else:
                loss.backward()
        if self.summed:
            total.backward()  # type: ignore[union-attr]
        torch.nn.utils.clip_grad_norm_(self.system.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)


def random_detections(rng: np.random.Generator, count: int, classes: int, size: Size) -> tuple[np.ndarray, ...]:
    """Boxes (count, 4) float32 as corners in pixels, scores, classes."""
    corners = rng.uniform(0, 0.85, (count, 2))
    sides = rng.uniform(0.01, 0.14, (count, 2))
    scale = np.array([size[1], size[0]] * 2)
    boxes = quarters(np.concatenate((corners, corners + sides), axis=1) * scale)
    return boxes, rng.uniform(0.01, 1, count).astype(np.float32), rng.integers(0, classes, count)


def jittered(rng: np.random.Generator, boxes: np.ndarray, pixels: float) -> np.ndarray:
    """The boxes as another view might have found them."""
    return quarters(boxes + rng.normal(0, pixels, boxes.shape))


def quarters(boxes: np.ndarray) -> np.ndarray:
    """The nearest quarters of pixels, float32: sides are then exact in every precision, and peers see equal numbers."""
    rounded: np.ndarray = (np.round(boxes * 4) / 4).astype(np.float32)
    return rounded
