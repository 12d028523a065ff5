"""A recipe's plan: model built without data, bytes and operations counted, every stage worked out on a cluster."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from umbel.config.deepspeed import engine_config, wanted_precision
from umbel.config.schema import Recipe
from umbel.contract.errors import ConfigError
from umbel.model.flops import TaskFlops
from umbel.model.model import MultiTaskModel
from umbel.model.peaks import DevicePeak
from umbel.registry.plugins import Plugins
from umbel.runtime.empty import build_empty
from umbel.workflows.plan.fit import Cluster, StagePlan, plan_stages, recommended
from umbel.workflows.plan.probe import LOSS_FACTOR, TaskActivations, probe_activations
from umbel.workflows.plan.states import Sharding, Weights
from umbel.workflows.plan.step_time import StepTime, count_step, step_time


@dataclass(frozen=True)
class Plan:
    """What `umbel plan` found out.

    Args:
        cluster: what there is to train on.
        elements: parameters of the backbone, under "", and of each head by task.
        activations: of each task.
        flops: operations of each task in a step, on one device.
        step_time: seconds of a step with all tasks on the device that was named, None where none was.
        stages: ZeRO 0 to 3.
        stage: the recommended one, None where nothing fits.
        images_per_step: of all tasks and ranks.
        assumptions: what the figures rest on, a sentence each.
    """

    cluster: Cluster
    elements: dict[str, int]
    activations: list[TaskActivations]
    flops: list[TaskFlops]
    step_time: StepTime | None
    stages: list[StagePlan]
    stage: int | None
    images_per_step: int
    assumptions: list[str]

    def to_json(self) -> dict[str, Any]:
        """JSON types; sizes in bytes."""
        content = dataclasses.asdict(self)
        for plan, stage in zip(self.stages, content["stages"], strict=True):
            stage["total"] = plan.total
            stage["states"]["total"] = plan.states.total
        for task, row in zip(self.activations, content["activations"], strict=True):
            row["peak"] = task.peak(task.batch_size)
        for counted, row in zip(self.flops, content["flops"], strict=True):
            row["total"] = counted.total
        return content


def make_plan(
    recipe: Recipe, plugins: Plugins, cluster: Cluster, half_weights: bool = False, device: DevicePeak | None = None
) -> Plan:
    """Plan a recipe for a cluster; what a grown recipe keeps frozen is not trained and not planned.

    Args:
        recipe: the typed recipe; its `deepspeed:` block counts, its stage does not: all are worked out.
        plugins: where kinds and backbones are looked up.
        cluster: devices, nodes and memory.
        half_weights: weights and gradients in bf16 with fp32 masters, as DeepSpeed can; umbel trains with fp32 weights.
        device: what the time of a step is worked out for.

    Raises:
        ConfigError: for a cluster whose nodes do not share the devices evenly, and whatever building the recipe raises.
    """
    if cluster.gpus % cluster.nodes:
        raise ConfigError(f"{cluster.gpus} GPUs cannot be shared evenly by {cluster.nodes} nodes")
    built, model, fake = build_empty(recipe, plugins)
    tasks = {name: task for name, task in built.items() if name not in recipe.growth.frozen_tasks}
    wanted = wanted_precision(recipe)
    bf16 = half_weights or wanted != "fp32"
    activations = probe_activations(recipe, tasks, model, fake, bf16)
    flops = count_step(recipe, tasks, model, fake, activations)
    sharding = _sharding(recipe, cluster.gpus, half_weights)
    elements = _by_owner(model)
    stages = plan_stages(
        _weights(model), elements, activations, cluster=cluster, sharding=sharding, accumulate=recipe.train.accumulate
    )
    best = recommended(stages)
    images = cluster.gpus * recipe.train.accumulate * sum(task.config.batch_size for task in tasks.values())
    assumptions = _assumptions(cluster, sharding, activations, bf16, wanted)
    return Plan(
        cluster=cluster,
        elements=elements,
        activations=activations,
        flops=flops,
        step_time=step_time(flops, device, "bf16" if bf16 else "fp32") if device else None,
        stages=stages,
        stage=best.stage if best else None,
        images_per_step=images,
        assumptions=assumptions,
    )


def _sharding(recipe: Recipe, ranks: int, half_weights: bool) -> Sharding:
    zero = engine_config(recipe, ranks)["zero_optimization"]
    offload = (zero.get("offload_optimizer") or {}).get("device", "none") == "cpu"
    return Sharding(
        2 if half_weights else 4,
        recipe.train.ema_decay > 0,
        offload,
        int(zero.get("stage3_param_persistence_threshold", Sharding.persistent)),
        int(zero["reduce_bucket_size"]),
    )


def _weights(model: MultiTaskModel) -> Weights:
    return Weights(
        tuple(p.numel() for p in model.parameters() if p.requires_grad),
        tuple(p.numel() for p in model.parameters() if not p.requires_grad),
        sum(b.numel() * b.element_size() for b in model.buffers()),
    )


def _by_owner(model: MultiTaskModel) -> dict[str, int]:
    def trained(module: Any) -> int:
        return sum(p.numel() for p in module.parameters() if p.requires_grad)

    return {"": trained(model.backbone)} | {name: trained(head) for name, head in model.heads.items()}


def _assumptions(
    cluster: Cluster, sharding: Sharding, activations: list[TaskActivations], bf16: bool, wanted: str
) -> list[str]:
    unmeasured = [task.task for task in activations if not task.loss_measured]
    labels = f"labels of {', '.join(unmeasured)} were not read: their losses count as {LOSS_FACTOR} fp32 outputs"
    weights = "bf16 with fp32 master copies" if sharding.weight_bytes == 2 else "fp32"
    lines = [
        f"{cluster.headroom:.0%} of a device is left for driver, workspaces and fragmentation",
        f"weights and gradients in {weights}; activations in {'bf16 autocast' if bf16 else 'fp32'}"
        + (" (train.precision is auto, and GPUs have it)" if bf16 and wanted == "auto" else ""),
        "activations are live bytes of one forward and backward, counted without data; casts follow autocast on a CPU",
        f"communication buffers of {sharding.bucket:,} elements",
        "of operations, convolutions, matrix products and attention count, a multiply-add as two; frozen parts have no "
        "backward, and what a backward recomputes counts",
        "ring collectives; between nodes, what a node sends when rings enter and leave it once",
    ]
    return lines + ([labels] if unmeasured else [])
