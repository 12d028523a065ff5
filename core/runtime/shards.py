"""What a rank holds of weights, gradients and optimizer state at each ZeRO stage, under one interface.

The attributes of DeepSpeed's optimizers that are read here are private to it: the version guard of `deepspeed.py` and
the equality tests hold them in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from umbel.contract.errors import CheckpointError, TrainingError
from umbel.runtime.optim import counter_device

Gather = Callable[..., AbstractContextManager[Any]]  # deepspeed.zero.GatheredParameters


class Shards:
    """Stage 0: every rank holds everything.

    Args:
        model: the model inside DeepSpeed's engine.
        engine: DeepSpeed's engine.
    """

    def __init__(self, model: nn.Module, engine: Any) -> None:
        self.engine = engine
        self.names = {id(parameter): name for name, parameter in model.named_parameters()}
        self.parameters = [p for p in model.parameters() if p.requires_grad]

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The torch optimizer, over the tensors of `flats`."""
        chosen: torch.optim.Optimizer = self.engine.optimizer
        return chosen

    def flats(self) -> list[tuple[Tensor, list[Tensor]]]:
        """The fp32 tensors that the optimizer steps on this rank, each with the parameters that it holds a part of."""
        return [(parameter, [parameter]) for parameter in self.parameters]

    def gradients(self) -> list[Tensor]:
        """What this rank holds of the step's gradients."""
        return [p.grad for p in self.parameters if p.grad is not None]

    def forget(self) -> None:
        """Drop the step's gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def after_step(self) -> None:
        """To be called after every step."""

    def publish(self) -> None:
        """Make the model's parameters those of `flats`, on all ranks."""

    def adopt(self) -> None:
        """Make `flats` those of the model's parameters."""

    def whole(self, parameters: Sequence[Tensor], *, write: bool = False) -> AbstractContextManager[Any]:
        """Inside the block these parameters are whole on this rank; with `write`, what rank 0 writes is kept."""
        return nullcontext()

    def full(self, flat: Tensor, parameter: Tensor, key: str) -> Tensor:
        """A whole tensor of optimizer state, gathered from all ranks."""
        found: Tensor = self.optimizer.state[flat][key]
        return found

    def fill(self, flat: Tensor, parameter: Tensor, key: str, value: Tensor) -> None:
        """Put this rank's part of a whole tensor of optimizer state where it belongs."""
        self.optimizer.state[flat][key].copy_(value)

    def link(self) -> None:
        """Tell DeepSpeed where the optimizer state is now: it looks once, when only the first group has any."""

    def optimizer_tensors(self, keep: bool) -> dict[str, Tensor]:
        """Optimizer state by "parameter/key", whole, on the CPU; a collective.

        Args:
            keep: False gives nothing back, on ranks that write nothing.
        """
        tensors = {}
        self.link()
        for flat, parameters in self.flats():
            for key, value in self.optimizer.state.get(flat, {}).items():
                for parameter in parameters if isinstance(value, Tensor) else ():
                    found = value if value.dim() == 0 else self.full(flat, parameter, key)
                    if keep:
                        tensors[f"{self.names[id(parameter)]}/{key}"] = found.detach().to("cpu", copy=True)
        return tensors

    def load_optimizer(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Take over optimizer state as `optimizer_tensors` gives it, at any stage and number of ranks."""
        held = self.flats()
        for flat, parameters in held:
            saved = [_entries(tensors, self.names[id(parameter)]) for parameter in parameters]
            if not any(saved):
                continue
            scalars = {key: value for key, value in saved[0].items() if value.dim() == 0}
            if any(_differs(scalars, entries) or entries.keys() != saved[0].keys() for entries in saved):
                raise CheckpointError(
                    f"the optimizer state of {self.names[id(parameters[0])]} and its group is incomplete", where=where
                )
            counters = counter_device(self.optimizer, flat)
            self.optimizer.state[flat] = {
                key: value.to(counters, copy=True) if value.dim() == 0 else torch.zeros_like(flat)
                for key, value in saved[0].items()
            }
        self.link()
        for flat, parameters in held:
            for parameter in parameters:
                for key, value in _entries(tensors, self.names[id(parameter)]).items():
                    if value.dim():
                        self.fill(flat, parameter, key, value.to(flat.device))


class StateShards(Shards):
    """Stages 1 and 2: the optimizer steps a contiguous part of each flattened group."""

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        chosen: torch.optim.Optimizer = self.engine.optimizer.optimizer
        return chosen

    def flats(self) -> list[tuple[Tensor, list[Tensor]]]:
        zero = self.engine.optimizer
        return list(zip(zero.single_partition_of_fp32_groups, zero.bit16_groups, strict=True))

    def gradients(self) -> list[Tensor]:
        zero = self.engine.optimizer
        reduced = [gradient for group in zero.all_grad_tensors.values() for gradient in group or ()]
        return super().gradients() + reduced + list(getattr(zero, "accumulated_grads_in_cpu", {}).values())

    def forget(self) -> None:
        super().forget()
        zero = self.engine.optimizer
        zero.micro_step_id = -1
        zero._release_preflattened_grad_buffers()
        for group in (*zero.averaged_gradients, *zero.all_grad_tensors):
            zero.averaged_gradients[group] = zero.all_grad_tensors[group] = None
        if zero.cpu_offload:
            zero._offload_accumulated_param_ids = set()
            zero.reset_cpu_buffers()

    def after_step(self) -> None:
        clear_offloaded(self)

    def publish(self) -> None:
        self.engine.optimizer.update_lp_params()

    def adopt(self) -> None:
        self.engine.optimizer.refresh_fp32_params()

    def full(self, flat: Tensor, parameter: Any, key: str) -> Tensor:
        found: Tensor = parameter.get_full_hp_param(key)
        return found

    def fill(self, flat: Tensor, parameter: Any, key: str, value: Tensor) -> None:
        parameter.set_full_hp_param(value, key)

    def link(self) -> None:
        self.engine.optimizer._hp_optimizer_states_linked = False
        self.engine.optimizer._lazy_init_hp_params_optimizer_state()


class WeightShards(Shards):
    """Stage 3: weights, gradients and optimizer state are each cut into one part a rank, parameter by parameter."""

    def __init__(self, model: nn.Module, engine: Any, gather: Gather) -> None:
        super().__init__(model, engine)
        self.gather = gather
        self.model = model

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        chosen: torch.optim.Optimizer = self.engine.optimizer.optimizer
        return chosen

    def flats(self) -> list[tuple[Tensor, list[Tensor]]]:
        zero = self.engine.optimizer
        return list(zip(zero.fp32_partitioned_groups_flat, zero.fp16_groups, strict=True))

    def gradients(self) -> list[Tensor]:
        return [self._buffer()]

    def forget(self) -> None:
        super().forget()
        self._buffer().zero_()
        zero = self.engine.optimizer
        zero.micro_step_id = -1
        if zero.offload_optimizer:
            zero._offload_boundary_param_ids.clear()
            zero.reset_cpu_buffers()

    def after_step(self) -> None:
        self._buffer().zero_()  # else a head whose backward is not the step's first adds to its old gradient
        clear_offloaded(self)

    def publish(self) -> None:
        zero = self.engine.optimizer
        zero._partition_all_parameters()
        for part, flat in zip(zero.fp16_partitioned_groups_flat, zero.fp32_partitioned_groups_flat, strict=True):
            part.data.copy_(flat.data)
        if zero.persistent_parameters:
            zero.persistent_parameters[0].all_gather(zero.persistent_parameters)

    def adopt(self) -> None:
        self.engine.optimizer.refresh_fp32_params()

    def whole(self, parameters: Sequence[Tensor], *, write: bool = False) -> AbstractContextManager[Any]:
        return self.gather(list(parameters), modifier_rank=0 if write else None)

    def full(self, flat: Tensor, parameter: Any, key: str) -> Tensor:
        found: Tensor = self.engine.optimizer.get_full_hp_param(parameter, key)
        return found

    def fill(self, flat: Tensor, parameter: Any, key: str, value: Tensor) -> None:
        part = torch.zeros_like(parameter.ds_tensor)
        first = self.engine.global_rank * part.numel()
        mine = value.flatten()[first : first + part.numel()]
        part.flatten()[: mine.numel()] = mine
        self.engine.optimizer.set_local_hp_param(part, parameter, key)

    def _buffer(self) -> Tensor:
        buffer = getattr(self.engine.optimizer, "grad_partitions_flat_buffer", None)
        if not isinstance(buffer, Tensor):
            raise TrainingError(
                "DeepSpeed's stage 3 keeps its gradients elsewhere than umbel clears them: they would be wrong",
                where="deepspeed.zero_optimization.stage",
                hint="install the DeepSpeed release that umbel names, or choose stage 2",
            )
        return buffer


def clear_offloaded(shards: Shards) -> None:
    """With the optimizer on the CPU a head that a step did not use would be stepped with its old gradient again."""
    for flat, _ in shards.flats():
        if flat.grad is not None:
            flat.grad.zero_()


def make_shards(stage: int, model: nn.Module, engine: Any, gather: Gather) -> Shards:
    """The interface to what this stage shards."""
    if stage == 0:
        return Shards(model, engine)
    return StateShards(model, engine) if stage < 3 else WeightShards(model, engine, gather)


def whole_weights(model: nn.Module, shards: Shards, keep: bool) -> dict[str, Tensor]:
    """The model's state by name, gathered module by module; a collective. Empty unless `keep`."""
    # copies: averaged buffers leave the model again before they are written
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()} if keep else {}
    for prefix, module in model.named_modules():
        own = dict(module.named_parameters(prefix, recurse=False))
        if own:
            with shards.whole(list(own.values())):
                weights.update({name: p.detach().to("cpu", copy=True) for name, p in own.items()} if keep else {})
    return weights


def _entries(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return dict(_entry_items(tensors, name))


def _entry_items(tensors: Mapping[str, Tensor], name: str) -> Iterator[tuple[str, Tensor]]:
    for key in ("step", "exp_avg", "exp_avg_sq", "momentum_buffer"):
        if f"{name}/{key}" in tensors:
            yield key, tensors[f"{name}/{key}"]


def _differs(scalars: Mapping[str, Tensor], entries: Mapping[str, Tensor]) -> bool:
    return any(key not in entries or not torch.equal(entries[key], value) for key, value in scalars.items())
