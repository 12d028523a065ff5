"""Which stages fit into a device, and how far each task's batch could grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from umbel.config.deepspeed import offload_refusal
from umbel.workflows.plan.probe import TaskActivations
from umbel.workflows.plan.states import STAGES, Sharding, States, Weights, model_states
from umbel.workflows.plan.traffic import step_traffic


@dataclass(frozen=True)
class Cluster:
    """What there is to train on.

    Args:
        gpus: devices of all nodes, one rank each.
        nodes: machines they are in.
        memory: bytes of a device.
        headroom: share of it that is left for the driver, libraries' workspaces and fragmentation.
    """

    gpus: int
    nodes: int
    memory: int
    headroom: float

    @property
    def usable(self) -> int:
        return int(self.memory * (1 - self.headroom))


@dataclass(frozen=True)
class StagePlan:
    """One stage on a cluster.

    Args:
        stage: 0 to 3.
        states: bytes of model states on a rank.
        activations: peak bytes of the task that needs most.
        refused: why training would refuse this stage, or "".
        fits: states and activations together are below what is usable.
        traffic: bytes a rank sends in a step.
        network: bytes a node sends to others in a step.
        largest_batch: the largest batch of each task that still fits, 0 where not even one image does.
    """

    stage: int
    states: States
    activations: int
    refused: str
    fits: bool
    traffic: int
    network: int
    largest_batch: dict[str, int]

    @property
    def total(self) -> int:
        return self.states.total + self.activations


def plan_stages(
    weights: Weights,
    elements: Mapping[str, int],
    activations: Sequence[TaskActivations],
    *,
    cluster: Cluster,
    sharding: Sharding,
    accumulate: int = 1,
) -> list[StagePlan]:
    """Every stage on a cluster.

    The backwards of a step follow one another and free their graphs, so that activations are those of the largest task,
    not of all together, and the batch of one task can grow without another's becoming smaller.
    """
    worst = max(task.peak(task.batch_size) for task in activations)
    plans = []
    for stage in STAGES:
        states = model_states(weights, stage, cluster.gpus, sharding)
        free = cluster.usable - states.total
        plans.append(
            StagePlan(
                stage=stage,
                states=states,
                activations=worst,
                refused=offload_refusal(stage) if sharding.offload else "",
                fits=worst <= free,
                traffic=step_traffic(elements, stage, cluster.gpus, sharding.weight_bytes, accumulate),
                network=step_traffic(elements, stage, cluster.nodes, sharding.weight_bytes, accumulate),
                largest_batch={task.task: _largest(task, free) for task in activations},
            )
        )
    return plans


def recommended(plans: Sequence[StagePlan]) -> StagePlan | None:
    """The stage that trains and fits with the least traffic; of equals the lower, which has less to do in a step."""
    possible = [plan for plan in plans if plan.fits and not plan.refused]
    return min(possible, key=lambda plan: (plan.traffic, plan.stage), default=None)


def _largest(task: TaskActivations, free: int) -> int:
    if task.per_image <= 0:
        return task.batch_size
    return max(0, int((free - task.fixed) // task.per_image))
