"""What observers see of a run: enough to report on it, nothing to change it by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from torch import nn

    from umbel.contract.task import Task


class RunView(Protocol):
    """A run as its observers get it.

    Attributes:
        directory: where it writes.
        tasks: tasks by name.
        model: what is trained; whole in this process unless ZeRO 3 shards it.
        device: where the model is.
        precision: "fp32" or "bf16".
        world_size: processes that train together.
        samples: number of training samples by name of each task that is trained.
        images_per_step: images of each task in an optimizer step that it takes part in, over all processes.
        steps_done: optimizer steps so far.
        total_steps: length of the run.
        epoch_steps: steps in which the longest task sees its data once.
        log_every: steps between two lines of progress, from the recipe.
        minutes: training time so far, evaluations included, resumed parts added up.
        best: best value so far by score key, and the step it was reached at.
    """

    @property
    def directory(self) -> Path: ...

    @property
    def tasks(self) -> Mapping[str, Task[Any]]: ...

    @property
    def model(self) -> nn.Module: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def precision(self) -> str: ...

    @property
    def world_size(self) -> int: ...

    @property
    def samples(self) -> Mapping[str, int]: ...

    @property
    def images_per_step(self) -> Mapping[str, int]: ...

    @property
    def steps_done(self) -> int: ...

    @property
    def total_steps(self) -> int: ...

    @property
    def epoch_steps(self) -> int: ...

    @property
    def log_every(self) -> int: ...

    @property
    def minutes(self) -> float: ...

    @property
    def best(self) -> Mapping[str, list[float]]: ...

    def recipe_text(self) -> str:
        """The recipe as it was written, in YAML, without what it takes from the environment."""

    def redacted(self, value: Any) -> Any:
        """A value of JSON types without what the recipe takes from the environment."""
