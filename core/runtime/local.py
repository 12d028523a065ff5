"""Plain PyTorch on one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from umbel.config.schema import OptimConfig, TrainConfig
from umbel.contract.errors import CheckpointError
from umbel.model.ema import WeightAverage
from umbel.model.model import MultiTaskModel
from umbel.model.weights import load_weights
from umbel.runtime.compiled import CompiledModel
from umbel.runtime.inference_model import InferenceModel
from umbel.runtime.optim import counter_device, lr_factor


class LocalRuntime(InferenceModel):
    """One process, one device: a model that predicts, and the optimizer that steps it.

    Args:
        model: the model, already on `device`.
        optimizer: over the model's parameters; every group has `initial_lr`.
        optim: schedule and clipping.
        train: memory format and weight averaging.
        precision: "fp32" or "bf16" (autocast).
        total_steps: length of the schedule.
        compiled: runs the model in training; None runs it eagerly.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        optimizer: torch.optim.Optimizer,
        *,
        optim: OptimConfig,
        train: TrainConfig,
        precision: str,
        total_steps: int,
        compiled: CompiledModel | None = None,
    ) -> None:
        super().__init__(model, precision, channels_last=train.channels_last)
        if compiled is not None:
            self.run = compiled
        self.optimizer = optimizer
        self.optim = optim
        self.total_steps = total_steps
        self.average = WeightAverage(model, train.ema_decay) if train.ema_decay else None
        self.steps_done = 0
        self._norm: Tensor | None = None  # of this step's gradients, once known
        self._before_update: Callable[[], object] | None = None
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def begin_batch(self, *, even: bool) -> None:
        """One process has nobody to differ from."""

    def backward(self, loss: Tensor, *, last: bool = False) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def gradients_finite(self) -> Tensor:
        fill_absent(self._parameters)
        self._norm = torch.nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        return torch.isfinite(self._norm).to(self.device)

    def zero_grad(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self._norm = None

    def skip_step(self) -> None:
        self._call_before_update()
        self.zero_grad()
        self.steps_done += 1

    def step(self) -> Tensor:
        self._call_before_update()
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self._factor()
        if self._norm is None:
            self.gradients_finite()
        norm = self._norm
        assert norm is not None
        if self.optim.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, self.optim.clip_norm, norm)
        self.optimizer.step()
        self.zero_grad()
        self.steps_done += 1
        if self.average is not None:
            self.average.update()
        return norm

    def all_reduce_max(self, flags: Tensor) -> Tensor:
        return flags

    def all_gather(self, values: list[int]) -> list[list[int]]:
        return [values]

    def lr(self) -> float:
        return self.optim.lr * self._factor()

    def whole(self, module: nn.Module) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def eval_mode(self) -> Iterator[None]:
        with super().eval_mode(), self.average.applied() if self.average else nullcontext():
            yield

    def before_update(self, callback: Callable[[], object]) -> bool:
        self._before_update = callback
        return True

    def weights(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())

    def average_weights(self) -> dict[str, Tensor]:
        return dict(self.average.shadow) if self.average else {}

    def optimizer_tensors(self) -> dict[str, Tensor]:
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        return {
            f"{names[id(parameter)]}/{key}": value
            for parameter, entries in self.optimizer.state.items()
            for key, value in entries.items()
        }

    def rank_states(self) -> dict[str, Tensor]:
        return {}

    def load_rank_states(self, states: dict[str, Tensor]) -> None:
        """One process holds nothing that the weights do not."""

    def load_weights(self, tensors: dict[str, Tensor], where: str) -> None:
        load_weights(self.model, tensors, where)

    def load_average(self, tensors: dict[str, Tensor], where: str) -> None:
        assert self.average is not None
        for name, value in self.average.shadow.items():
            value.copy_(tensors[name])

    def load_optimizer(self, tensors: dict[str, Tensor], where: str) -> None:
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        for parameter in self._parameters:
            prefix = names[id(parameter)] + "/"
            entries = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
            shapes = {value.shape for key, value in entries.items() if key != "step"}
            if shapes - {parameter.shape} or (tensors and not entries):  # none at all before the first step
                what = "lacks the state" if not entries else "has state of another shape"
                raise CheckpointError(f"the optimizer {what} of {prefix[:-1]}", where=where, hint="start a new run")
            if entries:
                counter = counter_device(self.optimizer, parameter)
                self.optimizer.state[parameter] = {
                    key: value.to(counter, copy=True) if key == "step" else _like(value, parameter)
                    for key, value in entries.items()
                }

    def _call_before_update(self) -> None:
        if self._before_update is not None:
            self._before_update()
            self._before_update = None

    def _factor(self) -> float:
        return lr_factor(self.steps_done, self.total_steps, self.optim)


def fill_absent(parameters: Sequence[Tensor]) -> None:
    """Zero gradients for what no task of the step used; see `Runtime`."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def _like(value: Tensor, parameter: Tensor) -> Tensor:
    """A copy of a state tensor with the parameter's device and memory format."""
    return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
