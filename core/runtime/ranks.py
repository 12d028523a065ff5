"""The processes that train together: which one this is, and what they tell each other about the job."""

from __future__ import annotations

import atexit
import os
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType

import torch
import torch.distributed as dist
from torch import Tensor

from umbel.contract.errors import ConfigError

GRACE = 0.1  # seconds; `exit_now`, by which the command line ends, needs none


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Args:
        rank: its number; 0 is the main process, which alone prints and writes.
        world_size: how many there are.
        local_rank: its number on this machine, which is that of its device.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_main_process(self) -> bool:
        return self.rank == 0

    def all_reduce_max(self, flags: Tensor) -> Tensor:
        """Elementwise maximum of a small tensor over all ranks, on its device; every rank must call it."""
        if self.world_size == 1:
            return flags
        reduced = flags.detach().cpu().clone()
        dist.all_reduce(reduced, dist.ReduceOp.MAX)
        return reduced.to(flags.device)

    def all_gather(self, values: list[int]) -> list[list[int]]:
        """What every rank gave, by rank; every rank must call it with as many 64-bit numbers."""
        if self.world_size == 1:
            return [values]
        mine = torch.tensor(values, dtype=torch.int64)
        rows = [torch.empty_like(mine) for _ in range(self.world_size)]
        dist.all_gather(rows, mine)
        return [row.tolist() for row in rows]

    def all_gather_tensors(self, values: Tensor) -> list[Tensor]:
        """What every rank gave, by rank: 1-dimensional CPU tensors of one type, each of its own length; every rank
        must call it."""
        if self.world_size == 1:
            return [values]
        lengths = [row[0] for row in self.all_gather([len(values)])]
        mine = torch.zeros(max(lengths), dtype=values.dtype)
        mine[: len(values)] = values
        rows = [torch.empty_like(mine) for _ in lengths]
        dist.all_gather(rows, mine)
        return [row[:length] for row, length in zip(rows, lengths, strict=True)]


ALONE = Ranks()


def ranks_from_env() -> Ranks:
    """What `deepspeed` or `torchrun` wrote into the environment; a single process without a launcher."""
    try:
        rank, world_size, local_rank = (
            int(os.environ.get(name, default)) for name, default in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
        )
    except ValueError:
        raise ConfigError("RANK, WORLD_SIZE and LOCAL_RANK must be whole numbers", where="environment") from None
    if not 0 <= rank < world_size:
        raise ConfigError(f"RANK is {rank} of a WORLD_SIZE of {world_size}", where="environment")
    return Ranks(rank, world_size, local_rank)


def init_process_group(ranks: Ranks, device: torch.device, timeout: float) -> None:
    """Connect to the other processes, once a process: small messages go by gloo, tensors on a GPU by NCCL.

    Args:
        ranks: from `ranks_from_env`.
        device: where the model is.
        timeout: seconds that a message may take before the job ends.
    """
    if dist.is_initialized():
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    patience = timedelta(seconds=timeout)
    atexit.register(_leave_groups)
    if ranks.world_size == 1:
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1, timeout=patience)  # type: ignore[attr-defined]
        return
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if missing:
        raise ConfigError(
            f"{ranks.world_size} processes, but {' and '.join(missing)} not set",
            where="environment",
            hint="start them with `torchrun` or `deepspeed`",
        )
    dist.init_process_group(
        backend,
        rank=ranks.rank,
        world_size=ranks.world_size,
        timeout=patience,
        device_id=device if device.type == "cuda" else None,
    )
    sys.excepthook = _end_job


def _leave_groups() -> None:
    """At a clean end: a gloo thread that drops the tensors of the last message while the interpreter shuts down aborts
    the process (code -6). They get time to do so before; see https://github.com/pytorch/pytorch/issues/190489."""
    if dist.is_initialized():
        dist.destroy_process_group()
        time.sleep(GRACE)


def limit_waiting(timeout: float) -> None:
    """Give every process group this time-out; those that libraries make have half an hour, whatever the first has."""
    groups = dist.distributed_c10d._world.pg_map
    limit = getattr(dist, "set_timeout", None) or dist.distributed_c10d._set_pg_timeout
    for group in groups:
        limit(timedelta(seconds=timeout), group)


def exit_now(code: int) -> None:
    """End a process of a distributed job at once: tidying up would wait for the others."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_job(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.__excepthook__(kind, error, trace)
    exit_now(1)
