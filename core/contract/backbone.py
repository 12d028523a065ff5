"""The Backbone contract: a network that turns normalised images into feature levels."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor, nn

from umbel.contract.types import FeatureSpec


class Backbone(nn.Module):
    """The network that all tasks share.

    Class attributes:
        Options: dataclass of typed options, declared with `umbel.option`.

    Attributes that a subclass sets in `__init__(self, options)`:
        spec: channels and strides of the levels that `forward` returns.
        mean: RGB mean in 0..1 that inputs are normalised with.
        std: RGB standard deviation in 0..1.
    """

    Options: ClassVar[type]
    spec: FeatureSpec
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @abstractmethod
    def forward(self, images: Tensor, task: str) -> tuple[Tensor, ...]:
        """Feature levels of normalised images.

        Args:
            images: (B, 3, H, W) float, normalised with `mean` and `std`; H and W are divisible by the largest stride.
            task: name of the task the images belong to, for backbones with parts of their own for every task.

        Returns:
            One (B, C_i, H/s_i, W/s_i) tensor a level, in the order of `spec`.
        """

    def bind_tasks(self, names: tuple[str, ...]) -> None:
        """Called once before training with the names of all tasks; a backbone with per-task parts makes them here."""

    def feature_key(self, task: str) -> str:
        """Tasks of one key get the same features from the same images, so that one pass may serve them all.

        Unless overridden, a backbone that makes parts for each task in `bind_tasks` is taken to differ between them.
        """
        return "" if type(self).bind_tasks is Backbone.bind_tasks else task

    def keep_tasks(self, names: tuple[str, ...]) -> None:
        """Forget the parts of all other tasks, for an export of these alone."""

    def inferred_options(self) -> dict[str, Any]:
        """Options decided when the tasks were bound, without which some of them alone could not be rebuilt."""
        return {}

    def for_export(self) -> Backbone:
        """The backbone as it is exported: with the same parameters, and computing the same; the default is itself."""
        return self

    def complete_state(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The state dict of a backbone with fewer tasks, completed by what the tasks bound besides start from."""
        return state

    def stage_of_parameters(self) -> dict[str, int]:
        """Stage of each parameter by name, 0 at the stem, for layer-wise learning rates; here all are one stage."""
        return {name: 0 for name, _ in self.named_parameters()}

    def summary(self) -> str:
        """What the backbone is, in a few words for the log, once its tasks are bound."""
        return type(self).__name__

    def load_pretrained(self) -> str:
        """Load the weights that the options name, once, before training; a checkpoint brings its own instead.

        Returns:
            One line for the log that says what was loaded from where.

        Raises:
            CheckpointError: if any part of the backbone would stay unloaded.
        """
        return "random initialisation"
