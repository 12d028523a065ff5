"""The Balancer contract: factors on the tasks' losses, from what earlier steps have shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn


class Balancer(nn.Module, ABC):
    """Sets the weights of the tasks. What is back-propagated for a task is

        task weight * (factor * loss + penalty),

    where the task weight is the recipe's, warm-up included. Algorithm 1 frees each task's graph before it builds the
    next one, so a factor can depend on what earlier steps have shown, not on this step's other losses.

    A balancer is a part of the model: what it keeps in buffers and parameters is saved, averaged and resumed with it.
    Its parameters are trained, without weight decay; give them the shape (1,), which DeepSpeed can shard.

    One that looks at every step has `observe` too: `umbel.Observes`.

    Args:
        options: an instance of the class's own `Options`.
        tasks: names of the tasks.

    Class attributes:
        Options: dataclass of typed options, declared with `umbel.option`.

    Attributes:
        lr_scale: factor on the learning rate of the balancer's own parameters.
        gradient_every: steps between measurements of the gradients on the backbone; 0 measures none.
    """

    Options: ClassVar[type]
    lr_scale: float = 1.0
    gradient_every: int = 0

    def __init__(self, options: object, tasks: tuple[str, ...]) -> None:
        super().__init__()
        self.options = options
        self.tasks = tasks

    @abstractmethod
    def factor(self, task: str) -> Tensor | float:
        """Factor on a task's loss in the coming step: a scalar; where it is learnt, with gradient."""

    def penalty(self, task: str) -> Tensor | None:
        """A scalar with gradient that is added to the task's weighted loss; None for none."""
        return None

    def balanced(self, task: str, loss: Tensor) -> Tensor:
        """factor * loss + penalty of a task."""
        weighted: Tensor = self.factor(task) * loss
        penalty = self.penalty(task)
        return weighted if penalty is None else weighted + penalty


@runtime_checkable
class Observes(Protocol):
    """A balancer that looks at every step; for others the processes exchange nothing."""

    def observe(self, losses: Mapping[str, Tensor], gradient_norms: Mapping[str, Tensor]) -> None:
        """Learn from a step, after it is known to be sound; the same values arrive in every process.

        Args:
            losses: unweighted loss of each task that took part, 0-dimensional, detached, the mean of all processes.
            gradient_norms: norm of each unweighted loss's gradient on the backbone; empty unless this step measured it.
        """
        ...


@dataclass
class FixedOptions:
    """None: the tasks' own weights stay as the recipe has them."""


class FixedBalancer(Balancer):
    """The recipe's weights and nothing else."""

    Options = FixedOptions

    def factor(self, task: str) -> float:
        return 1.0
