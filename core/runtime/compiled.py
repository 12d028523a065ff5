"""The model's training passes compiled: one graph of backbone and head for each task, at its one size."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from umbel.contract.errors import ConfigError
from umbel.model.model import MultiTaskModel

log = logging.getLogger(__name__)

Pass = Callable[[Tensor], Any]
Shape = tuple[int, int, int, int]

_BACKEND: Any = "inductor"
_OPTIONS: dict[str, str | int | bool | Callable[..., Any]] = {
    "fallback_random": True
}  # dropout draws from torch's own generators, as without a compiler


class CompiledModel:
    """Runs a model as it would run itself, training batches by compiled graphs.

    Functions are compiled, no module is wrapped: names of parameters and buffers stay. Compiled is what a task trains
    on, batches of its one shape; everything else runs eagerly, so that evaluation at any size compiles nothing. Each
    task has a cache of its own.

    A graph that cannot hold the whole pass is not broken up: if the head is at fault the backbone is compiled without
    it, else the task runs eagerly. Both are said in the log.

    Args:
        model: on its device.
        shapes: (B, 3, H, W) of each task's training batches.
        must: a compiler that fails ends the run; else the task runs eagerly.
        repeats_backward: a graph may be walked more than once, as balancers that measure gradients do.
    """

    def __init__(
        self, model: MultiTaskModel, shapes: Mapping[str, Shape], *, must: bool, repeats_backward: bool
    ) -> None:
        self.model = model
        self.shapes = shapes
        self.must = must
        self.repeats_backward = repeats_backward
        self._passes: dict[str, Pass] = {}

    def __call__(self, images: Tensor, task: str) -> Any:
        """Raw output of a task's head, as `MultiTaskModel.forward` gives it.

        Raises:
            ConfigError: the compiler failed, and `must`.
        """
        if not self.model.training or not torch.is_grad_enabled() or images.shape != self.shapes.get(task):
            return self.model(images, task)
        run = self._passes.get(task)
        return run(images) if run is not None else self._compile(images, task)

    def _compile(self, images: Tensor, task: str) -> Any:
        """Run the first way that can be compiled, and keep it."""
        from torch._dynamo.exc import ShortenTraceback, TorchDynamoException
        from torch._functorch import config

        started = time.perf_counter()
        for what, run in self._ways(task):
            try:
                with config.patch(donated_buffer=not self.repeats_backward):
                    output = run(images)
            except ShortenTraceback as error:  # those of a backend: Triton, the C++ compiler, inductor itself
                self._give_up(task, error)
                break
            except TorchDynamoException as error:  # a graph break, or an error of the model's own, which eager shows
                log.warning("task '%s': %s cannot be compiled as one graph: %s", task, what, _first_line(error))
                continue
            self._passes[task] = run
            log.info("task '%s': %s compiled in %.1f s", task, what, time.perf_counter() - started)
            return output
        log.warning("task '%s' trains without a compiler", task)
        self._passes[task] = self._eager(task)
        return self._passes[task](images)

    def _ways(self, task: str) -> Iterator[tuple[str, Pass]]:
        model = self.model

        def whole(images: Tensor) -> Any:
            return model(images, task)

        def features(images: Tensor) -> tuple[Tensor, ...]:
            return model.features(images, task)

        yield "backbone and head", _compiled(whole)
        backbone = _compiled(features)
        yield "the backbone alone", lambda images: model.heads[task](backbone(images))

    def _eager(self, task: str) -> Pass:
        return lambda images: self.model(images, task)

    def _give_up(self, task: str, error: Exception) -> None:
        reason = _first_line(getattr(error, "inner_exception", error))
        if self.must:
            raise ConfigError(
                f"the compiler fails at task '{task}': {reason}", where="train.compile", hint="train.compile=off"
            ) from error
        log.warning("the compiler fails at task '%s': %s", task, reason)


def _compiled(function: Pass) -> Pass:
    """A function compiled whole, for the shape it is first called with; its own code object gives it its own cache."""
    own = FunctionType(function.__code__.replace(), function.__globals__, function.__name__, None, function.__closure__)
    options = _OPTIONS if _BACKEND == "inductor" else None
    run: Pass = torch.compile(own, fullgraph=True, dynamic=False, backend=_BACKEND, options=options)
    return run


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
