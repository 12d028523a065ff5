"""The guard before every optimizer step: a loss or gradient that is not finite never reaches the weights."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from umbel.contract.errors import TrainingError
from umbel.contract.types import Batch, Losses
from umbel.runtime.base import Runtime

log = logging.getLogger(__name__)

_HINT = "lower optim.lr, lengthen optim.warmup_steps, check these samples' labels, or set train.non_finite=skip"

_NAMED = 16  # sample ids in a message


class Guard:
    """Decides, alike on all ranks, whether a step is applied; counts what it turned away.

    A skipped step changes neither weights, buffers, optimizer state nor EMA weights; the schedule and the order
    of samples go on as if it had been taken, so that a resumed run meets the next samples and not the same again.

    Args:
        policy: "stop" raises, "skip" passes over the step.
        limit: skipped steps in a row that raise all the same.

    Attributes:
        skipped: steps skipped in the whole run.
        in_a_row: steps skipped since the last that was taken.
    """

    def __init__(self, policy: str = "stop", limit: int = 10) -> None:
        self.policy = policy
        self.limit = limit
        self.skipped = 0
        self.in_a_row = 0
        self._buffers: list[Tensor] | None = None
        self._parts: list[tuple[Mapping[str, Batch | None], Mapping[str, Losses]]] = []  # of this step, so far

    def state_dict(self) -> dict[str, int]:
        """The counters, for a checkpoint."""
        return {"skipped": self.skipped, "in_a_row": self.in_a_row}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Load the counters of a checkpoint."""
        self.skipped, self.in_a_row = int(state["skipped"]), int(state["in_a_row"])

    def before(self, model: nn.Module) -> None:
        """Remember the buffers, such as batch statistics, which a bad forward pass would already have spoilt."""
        if self.policy == "skip" and self._buffers is None:
            self._buffers = [buffer.detach().clone() for buffer in model.buffers()]

    def keep(self, batches: Mapping[str, Batch | None], losses: Mapping[str, Losses]) -> None:
        """Take note of a composite batch whose gradients are applied with a later one's."""
        self._parts.append((batches, losses))

    def passes(
        self,
        runtime: Runtime,
        batches: Mapping[str, Batch | None],
        losses: Mapping[str, Losses],
        repeat: Callable[[str], object],
        *,
        settle: Callable[[Tensor], Tensor] | None = None,
    ) -> bool:
        """Whether the accumulated gradients may be applied; called once a step, after the last backward.

        The good path costs one synchronisation. Which task a gradient comes from is found by repeating the step.

        Args:
            runtime: holds the gradients.
            batches: the step's batches, None where this rank has no data.
            losses: the step's losses.
            repeat: forward and backward of a task once more.
            settle: elementwise maximum of flags over all ranks, if not the runtime's own.

        Raises:
            TrainingError: naming task and samples, under "stop" or beyond the limit; no weight has been touched.
        """
        self.keep(batches, losses)
        entries = [(name, held[name], value) for held, values in self._parts for name, value in values.items()]
        self._parts = []
        faults = [~torch.isfinite(task_losses.total).reshape(()) for _, _, task_losses in entries]
        flags = torch.stack([*faults, ~runtime.gradients_finite()]).float().cpu()
        *bad_losses, bad_gradient = (settle or runtime.all_reduce_max)(flags).tolist()
        if not any(bad_losses) and not bad_gradient:
            self.in_a_row = 0
            self._buffers = None
            return True
        bad = [entry for entry, flag in zip(entries, bad_losses, strict=True) if flag]
        if bad:
            values = [f"the loss of task '{name}' is {_value(task_losses.total)}" for name, _, task_losses in bad]
        else:
            named = _tasks_with_bad_gradients(runtime, losses, repeat)
            values = [f"the gradient of task '{name}' is not finite" for name in named]
            bad = [entry for entry in entries if entry[0] in named]
        values = values or ["the sum of the tasks' gradients is not finite"]
        samples = "; ".join(_samples(name, batch) for name, batch, _ in bad or entries)
        self._turn_away(runtime, ", ".join(values), samples)
        return False

    def _turn_away(self, runtime: Runtime, message: str, samples: str) -> None:
        runtime.zero_grad()
        if self.policy == "stop":
            raise TrainingError(message, where=samples, hint=_HINT)
        with torch.no_grad():
            for buffer, before in zip(runtime.model.buffers(), self._buffers or [], strict=True):
                buffer.copy_(before)
        self._buffers = None
        runtime.skip_step()
        self.skipped += 1
        self.in_a_row += 1
        log.warning("skipped a step, the %s of this run: %s: %s", _ordinal(self.skipped), samples, message)
        if self.in_a_row >= self.limit:
            raise TrainingError(f"{self.in_a_row} steps in a row were skipped; {message}", where=samples, hint=_HINT)


def _tasks_with_bad_gradients(
    runtime: Runtime, losses: Mapping[str, Losses], repeat: Callable[[str], object]
) -> list[str]:
    """Repeat the step with the same dropout, looking at the gradients after each task's backward."""
    torch.manual_seed(torch.initial_seed())
    named = []
    for name in losses:
        runtime.zero_grad()
        repeat(name)
        if float(runtime.all_reduce_max((~runtime.gradients_finite()).float().reshape(1).cpu())[0]):
            named.append(name)
    return named


def _value(total: Tensor) -> str:
    return "not finite on another rank" if bool(torch.isfinite(total)) else str(total.item())


def _samples(name: str, batch: Batch | None) -> str:
    if batch is None:
        return f"{name} has no samples on this rank"
    more = len(batch.ids) - _NAMED
    return f"samples of {name}: {', '.join(batch.ids[:_NAMED])}{f' and {more} more' if more > 0 else ''}"


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
