"""DeepSpeed ZeRO over any number of processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from umbel.config.deepspeed import engine_config, zero_stage
from umbel.config.schema import Recipe
from umbel.contract.errors import ConfigError, TrainingError
from umbel.contract.types import Batch, Size
from umbel.model.ema import ShardAverage
from umbel.model.model import MultiTaskModel
from umbel.model.weights import load_weights
from umbel.runtime.batch_norm import BatchStatistics
from umbel.runtime.compiled import CompiledModel
from umbel.runtime.deepspeed_library import check_shapes, describe, import_deepspeed
from umbel.runtime.gradient_buckets import GradientBuckets
from umbel.runtime.move import move_batch
from umbel.runtime.optim import lr_factor
from umbel.runtime.precision import autocast
from umbel.runtime.ranks import Ranks, limit_waiting
from umbel.runtime.shards import make_shards, whole_weights

log = logging.getLogger(__name__)


class DeepSpeedRuntime:
    """A model stepped by `deepspeed.initialize`: any number of backwards a step, ZeRO stage 0 to 3.

    Weights and gradients are fp32 at every stage; bf16 is autocast inside the model, as in the local runtime.

    Args:
        model: the model, already on its device.
        optimizer: over the model's parameters; every group has `initial_lr`.
        recipe: schedule, clipping, averaging and the `deepspeed:` block.
        precision: "fp32" or "bf16" (autocast).
        total_steps: length of the schedule.
        ranks: the processes, which have joined.
        compiled: runs the model in training; None runs it eagerly.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        optimizer: torch.optim.Optimizer,
        recipe: Recipe,
        *,
        precision: str,
        total_steps: int,
        ranks: Ranks,
        compiled: CompiledModel | None = None,
    ) -> None:
        self.model = model
        self.run: Callable[[Tensor, str], Any] = compiled or model
        self.optim = recipe.optim
        self.precision = precision
        self.total_steps = total_steps
        self.ranks = ranks
        self.rank, self.world_size = ranks.rank, ranks.world_size
        self.stage = zero_stage(recipe)
        self.device = next(model.parameters()).device
        self.memory_format = torch.channels_last if recipe.train.channels_last else torch.contiguous_format
        self.sizes: dict[str, Size] = {name: task.input_size for name, task in recipe.tasks.items()}
        self.steps_done = 0
        check_shapes(model)
        model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # DeepSpeed sends and flattens it
        deepspeed = import_deepspeed(self.device)
        config = engine_config(recipe, ranks.world_size)
        if ranks.is_main_process:
            log.info("%s", describe(config, recipe, ranks.world_size))
        try:
            self.engine = deepspeed.initialize(
                model=_Autocast(model, self), optimizer=optimizer, config=config, dist_init_required=False
            )[0]
        except (ValueError, AssertionError, TypeError, KeyError) as error:  # pydantic's errors are ValueErrors
            raise ConfigError(
                f"DeepSpeed refuses it: {' '.join(str(error).split())}", where="deepspeed", hint="see DeepSpeed's docs"
            ) from None
        if self.stage == 0:  # later ones make each parameter a contiguous view of what is sharded, after every step
            model.to(memory_format=self.memory_format)  # type: ignore[call-overload]
        limit_waiting(recipe.train.timeout)
        self.engine.enable_backward_allreduce = self.stage > 0  # at stage 0 the norm is wanted before the step
        self.shards = make_shards(self.stage, model, self.engine, deepspeed.zero.GatheredParameters)
        self.shards.after_step()  # fails now rather than after the first step
        self.buckets: GradientBuckets | None = None
        if self.stage == 0:
            trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
            self.buckets = GradientBuckets(trained, ranks.world_size, self.engine.communication_data_type)
        self.statistics = BatchStatistics(model, ranks.world_size)
        masters = [flat for flat, _ in self.shards.flats()]
        self.average = (
            ShardAverage(masters, self.statistics.tensors, recipe.train.ema_decay) if recipe.train.ema_decay else None
        )
        self._in_step = False  # inside `eval_mode`, where ranks may run different numbers of forwards

    def to_device(self, batch: Batch) -> Batch:
        return move_batch(batch, self.device, self.memory_format)

    def forward(self, images: Tensor, task: str) -> Any:
        if self._in_step:
            self._announce(task)
        return self.engine(images, task)

    def features(self, images: Tensor, task: str) -> Any:
        return self.engine(images, task, "features")

    def head(self, features: tuple[Tensor, ...], task: str) -> Any:
        return self.engine(features, task, "head")

    def begin_batch(self, *, even: bool) -> None:
        self.statistics.begin_batch(even=even, averages=self._average_of_statistics())

    def backward(self, loss: Tensor, *, last: bool = False) -> None:
        with self.buckets.sending(loss) if last and self.buckets else nullcontext():
            self.engine.backward(loss)

    def gradients_finite(self) -> Tensor:
        """Whether what this rank holds of the step's gradients is finite: ranks may differ, `all_reduce_max` settles
        it."""
        if self.buckets and self.buckets.begun:
            return torch.isfinite(self.buckets.norm()).to(self.device)
        gradients = self.shards.gradients()
        norm = torch.nn.utils.get_total_norm(gradients) if gradients else torch.zeros(())
        return torch.isfinite(norm).to(self.device)

    def zero_grad(self) -> None:
        if self.buckets:
            self.buckets.forget()
        self.shards.forget()

    def skip_step(self) -> None:
        self.zero_grad()
        self.steps_done += 1

    def step(self) -> Tensor:
        for group in self.engine.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self._factor()
        norm = self._replicated_step() if self.stage == 0 else self._sharded_step()
        self.shards.after_step()
        self.statistics.after_step()
        self.steps_done += 1
        if self.average is not None:
            self.average.update()
        return norm

    def all_reduce_max(self, flags: Tensor) -> Tensor:
        return self.ranks.all_reduce_max(flags)

    def all_gather(self, values: list[int]) -> list[list[int]]:
        return self.ranks.all_gather(values)

    def all_gather_tensors(self, values: Tensor) -> list[Tensor]:
        return self.ranks.all_gather_tensors(values)

    def lr(self) -> float:
        return self.optim.lr * self._factor()

    def whole(self, module: nn.Module) -> AbstractContextManager[Any]:
        parameters = list(module.parameters())
        return self.shards.whole(parameters) if parameters else nullcontext()

    @contextmanager
    def eval_mode(self) -> Iterator[None]:
        training = self.model.training
        self.engine.eval()
        try:
            with torch.no_grad(), self._shared_statistics(), self._averaged():
                self._in_step = self.stage == 3 and self.world_size > 1
                yield
                self._keep_step()
        finally:
            self._in_step = False
            self.engine.train(training)

    def before_update(self, callback: Callable[[], object]) -> bool:
        return False  # what is gathered is copied

    def weights(self) -> dict[str, Tensor]:
        with self._shared_statistics():
            return whole_weights(self.model, self.shards, keep=self.ranks.is_main_process)

    def average_weights(self) -> dict[str, Tensor]:
        with self._shared_statistics(), self._averaged():
            return whole_weights(self.model, self.shards, keep=self.ranks.is_main_process)

    def rank_states(self) -> dict[str, Tensor]:
        mine = self.statistics.state(self._average_of_statistics())
        gathered = self.all_gather_tensors(mine) if len(mine) else []  # of all ranks alike
        return {str(rank): state for rank, state in enumerate(gathered)}

    def load_rank_states(self, states: dict[str, Tensor]) -> None:
        if len(states) == self.world_size > 1:  # of other ranks only the mean is of use, which the weights hold
            self.statistics.load_state(states[str(self.rank)], self._average_of_statistics())

    def optimizer_tensors(self) -> dict[str, Tensor]:
        return self.shards.optimizer_tensors(keep=self.ranks.is_main_process)

    def load_weights(self, tensors: dict[str, Tensor], where: str) -> None:
        with self.shards.whole(list(self.model.parameters()), write=True):
            load_weights(self.model, tensors, where)
        self.shards.adopt()
        self.shards.publish()  # at stage 3 small parameters are kept whole on every rank

    def load_average(self, tensors: dict[str, Tensor], where: str) -> None:
        assert self.average is not None
        self.load_weights(tensors, where)
        self.average.restart()

    def load_optimizer(self, tensors: dict[str, Tensor], where: str) -> None:
        self.shards.load_optimizer(tensors, where)

    def _replicated_step(self) -> Tensor:
        """Stage 0: clip by the same code as the local runtime, so that the norm is known before the step."""
        assert self.buckets is not None
        norm = self.buckets.norm()
        if not torch.isfinite(norm):
            raise self._refusal()
        if self.optim.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.shards.parameters, self.optim.clip_norm, norm)
        self.engine.step()
        self.buckets.forget()
        return norm

    def _sharded_step(self) -> Tensor:
        self.engine.step()
        if self.engine.optimizer.overflow:  # DeepSpeed has left the weights alone, without a word
            raise self._refusal()
        return torch.as_tensor(self.engine.get_global_grad_norm()).cpu()

    def _refusal(self) -> TrainingError:
        self.zero_grad()
        return TrainingError(
            f"the gradient norm is not finite in step {self.steps_done + 1}",
            hint="lower optim.lr or use train.precision=fp32; no weight was changed",
        )

    def _factor(self) -> float:
        return lr_factor(self.steps_done, self.total_steps, self.optim)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The model holds the EMA weights inside the block, on all ranks.

        An error of one of several ranks ends the job: the others may be anywhere, so nothing is put back with them.
        """
        self._swap_average()
        try:
            yield
        except BaseException:
            if self.world_size == 1:
                self._swap_average()
            raise
        self._swap_average()

    def _shared_statistics(self) -> AbstractContextManager[None]:
        return self.statistics.averaged(self._average_of_statistics())

    def _average_of_statistics(self) -> list[Tensor]:
        return [] if self.average is None else self.average.buffers[: self.statistics.deferred]

    def _swap_average(self) -> None:
        if self.average is not None:
            self.average.swap()
            self.shards.publish()

    def _announce(self, task: str) -> None:
        """Say which head runs next; at stage 3 a forward is a collective, so ranks that are done run it too."""
        wanted = 1 + list(self.sizes).index(task)
        running = int(self.all_reduce_max(torch.tensor([wanted]))[0])
        if running != wanted:
            raise TrainingError(f"rank {self.rank} evaluates task '{task}' while another rank evaluates another task")

    def _keep_step(self) -> None:
        """Run dummy forwards until no rank has a real one left."""
        while self._in_step and (running := int(self.all_reduce_max(torch.tensor([0]))[0])):
            task = list(self.sizes)[running - 1]
            self.engine(torch.zeros((1, 3, *self.sizes[task]), dtype=torch.uint8, device=self.device), task)


class _Autocast(nn.Module):
    """The model under the runtime's precision; DeepSpeed turns off an autocast that is entered outside its engine."""

    def __init__(self, model: MultiTaskModel, runtime: DeepSpeedRuntime) -> None:
        super().__init__()
        self.model = model
        self._runtime = [runtime]  # in a list: it is no submodule and nothing to deep-copy

    def forward(self, given: Any, task: str, part: str = "whole") -> Any:
        """The model's output for images; its features for them, or a head's output for features."""
        runtime = self._runtime[0]
        with autocast(runtime.device, runtime.precision, training=self.training):
            if part == "head":
                return self.model.heads[task](given)
            return self.model.features(given, task) if part == "features" else runtime.run(given, task)
