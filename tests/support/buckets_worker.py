"""What every rank of tests/core/runtime/test_gradient_buckets.py does: `python buckets_worker.py OUT`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from zero_toys import SCHEDULES, STEPS, WEIGHTS, composite, joined, make_runtime, train_steps, zero_block

from umbel.contract.errors import TrainingError
from umbel.contract.types import Losses
from umbel.runtime.gradient_buckets import GradientBuckets
from umbel.runtime.ranks import Ranks, exit_now
from umbel.training.engine import Engine
from umbel.training.guard import Guard


class Scaled(torch.autograd.Function):
    """The identity, whose gradient is multiplied."""

    @staticmethod
    def forward(context: Any, value: Tensor, factor: float) -> Tensor:
        context.factor = factor
        return value.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * context.factor, None


class Hidden(torch.autograd.Function):
    """The identity, whose backward adds to a parameter that the graph does not show."""

    @staticmethod
    def forward(context: Any, value: Tensor, holder: list[Tensor]) -> Tensor:
        (context.parameter,) = holder
        return value.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        with torch.enable_grad():
            context.parameter.sum().backward()
        return gradient, None


def one_tensor_buckets(ranks: Ranks) -> tuple[Any, Any]:
    """A runtime whose every parameter is a bucket of its own."""
    tasks, runtime = make_runtime(ranks, zero_block(0))
    named = dict(runtime.model.named_parameters())
    runtime.buckets = GradientBuckets(named, ranks.world_size, torch.float32, capacity=1)
    return tasks, runtime


def weights_of(runtime: Any) -> dict[str, Tensor]:
    """On every rank, where `runtime.weights` gives rank 0's."""
    return {name: parameter.detach().clone() for name, parameter in runtime.model.named_parameters()}


def logged(runtime: Any, run: Callable[[], object]) -> list[list[Any]]:
    """Of each step, the sizes of the buckets in the order sent, with "begin" and "end" of the last backward."""
    steps: list[list[Any]] = []
    send, backward, step = dist.all_reduce, runtime.backward, runtime.step
    now: list[Any] = []

    def all_reduce(tensor: Tensor, *arguments: Any, async_op: bool = False) -> Any:
        if async_op:
            now.append(tensor.numel())
        return send(tensor, *arguments, async_op=async_op)

    def back(loss: Tensor, *, last: bool = False) -> None:
        now.extend(["begin"] * last)
        backward(loss, last=last)
        now.extend(["end"] * last)

    def stepped() -> Any:
        steps.append(list(now))
        now.clear()
        return step()

    dist.all_reduce, runtime.backward, runtime.step = all_reduce, back, stepped
    run()
    dist.all_reduce, runtime.backward, runtime.step = send, backward, step
    return steps


def bad_gradient(ranks: Ranks, name: str) -> dict[str, Any]:
    """One task's gradient, and no loss, is not finite on the last rank: what the guard says, and whether the run goes
    on as if the step had not been."""
    tasks, runtime = one_tensor_buckets(ranks)
    train_steps(runtime, tasks, "every step", 0, 2)
    before = weights_of(runtime)
    spoilt = dict(tasks)
    if ranks.rank == ranks.world_size - 1:
        spoilt[name] = Spoilt(tasks[name])
    batches = composite("every step", 2, ranks.rank, ranks.world_size)
    try:
        Engine(runtime, spoilt).train_step(batches, WEIGHTS)
        message = ""
    except TrainingError as error:
        message = str(error)
    guard = Guard("skip")
    Engine(runtime, spoilt, guard).train_step(batches, WEIGHTS)
    after = weights_of(runtime)
    train_steps(runtime, tasks, "every step", 3, 5)
    tasks, other = one_tensor_buckets(ranks)
    train_steps(other, tasks, "every step", 0, 2)
    train_steps(other, tasks, "every step", 3, 5)
    mine, theirs = weights_of(runtime), weights_of(other)
    return {
        "message": message,
        "skipped": guard.skipped,
        "stayed": all(torch.equal(before[key], after[key]) for key in before),
        "went on": all(torch.equal(mine[key], theirs[key]) for key in mine),
    }


class Spoilt:
    """A task whose loss is finite and whose gradient is not."""

    def __init__(self, task: Any) -> None:
        self.task = task

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)

    def loss(self, output: Tensor, targets: Tensor) -> Losses:
        found: Losses = self.task.loss(Scaled.apply(output, float("nan")), targets)
        return found


def accumulated(ranks: Ranks) -> list[dict[str, Tensor]]:
    """Weights where two composite batches make a step, sent early, and sent after all backwards."""
    found = []
    for early in (True, False):
        tasks, runtime = one_tensor_buckets(ranks)
        engine = Engine(runtime, tasks)
        backward = runtime.backward
        if not early:
            runtime.backward = lambda loss, last=False, backward=backward: backward(loss)
        for number in range(8):
            batches = composite("rank without data", number, ranks.rank, ranks.world_size)
            engine.train_step(batches, WEIGHTS, last=number % 2 == 1)
        found.append(weights_of(runtime))
    return found


class Layers(nn.Module):
    """Linear layers, of which the second is used as often as a forward is told."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.third, self.idle = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, values: Tensor, *, reentrant: int = 0) -> Tensor:
        values = self.first(values)
        for _ in range(reentrant):
            values = checkpoint(self.second, values, use_reentrant=True)
        return self.third(values).square().mean()


def differences(ranks: Ranks, reentrant: int) -> list[float]:
    """Largest distance from the gradients' mean in four steps, by step."""
    model = Layers()
    buckets = GradientBuckets(dict(model.named_parameters()), ranks.world_size, torch.float32, capacity=1)
    found = []
    for step in range(4):
        values = torch.randn(3, 4, generator=torch.Generator().manual_seed(step * 10 + ranks.rank))
        model(values, reentrant=reentrant).backward()
        expected = []
        for parameter in model.parameters():
            mine = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
            dist.all_reduce(mine)
            expected.append(mine / ranks.world_size)
            parameter.grad = None
        loss = model(values, reentrant=reentrant)
        with buckets.sending(loss):
            loss.backward()
        buckets.norm()
        pairs = zip(model.parameters(), expected, strict=True)
        found.append(max(float((p.grad - wanted).abs().max()) for p, wanted in pairs))
        buckets.forget()
        model.zero_grad()
    return found


def surprised(ranks: Ranks) -> str:
    """What is said of a parameter that gets a gradient which the same graph did not bring before."""
    model = Layers()
    buckets = GradientBuckets(dict(model.named_parameters()), ranks.world_size, torch.float32, capacity=1)
    for hidden in (False, False, True):
        loss = model(torch.ones(2, 4))
        if hidden:
            loss = Hidden.apply(loss, [model.idle.weight])
        try:
            with buckets.sending(loss):
                loss.backward()
        except TrainingError as error:
            return str(error)
        buckets.norm()
        buckets.forget()
        model.zero_grad()
    return ""


def main(out: Path) -> None:
    torch.set_num_threads(1)
    ranks = joined()
    notes: dict[str, Any] = {"steps": {}}
    for schedule in SCHEDULES:
        tasks, runtime = one_tensor_buckets(ranks)
        notes["steps"][schedule] = logged(runtime, partial(train_steps, runtime, tasks, schedule, 0, STEPS))
        save_file(weights_of(runtime), out / f"{schedule}-{ranks.rank}.safetensors")
    notes["bad"] = {name: bad_gradient(ranks, name) for name in ("first", "third")}
    early, late = accumulated(ranks)
    notes["accumulated"] = all(torch.equal(early[name], late[name]) for name in early)
    notes["differences"] = {str(times): differences(ranks, times) for times in (0, 1, 2)}
    notes["surprised"] = surprised(ranks)
    (out / f"notes-{ranks.rank}.json").write_text(json.dumps(notes))
    ranks.all_gather([0])
    exit_now(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
