"""The recipe's `deepspeed:` block: checked against the rest of the recipe, completed, ready for DeepSpeed."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from umbel.contract.errors import ConfigError

if TYPE_CHECKING:
    from umbel.config.schema import Recipe


DEFAULT_STAGE = 1  # shards the optimizer at no traffic; gradients and weights of a vision backbone fit on every device

_BUCKET = 50_000_000  # elements; DeepSpeed's own 5e8 take 2 GB a buffer and device

# keys that are handed to DeepSpeed as they are: how it works and reports, not what it computes
_PASSED = (
    "aio",
    "comms_logger",
    "communication_data_type",
    "csv_monitor",
    "dump_state",
    "flops_profiler",
    "memory_breakdown",
    "monitor_config",
    "steps_per_print",
    "tensorboard",
    "wall_clock_breakdown",
    "wandb",
    "zero_allow_untested_optimizer",
)

_CHECKED = (
    "amp",
    "bf16",
    "data_types",
    "fp16",
    "gradient_accumulation_steps",
    "gradient_clipping",
    "managed_gradient_accumulation",
    "optimizer",
    "scheduler",
    "torch_autocast",
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "zero_optimization",
)

_HYPERPARAMETERS = ("lr", "weight_decay", "betas", "eps")


def is_distributed(recipe: Recipe, world_size: int) -> bool:
    """Whether DeepSpeed steps the model: several processes, or a block that asks for it."""
    return world_size > 1 or recipe.deepspeed is not None


def zero_stage(recipe: Recipe) -> int:
    """The ZeRO stage of a recipe, 0 to 3."""
    return int(_section(recipe.deepspeed or {}, "zero_optimization").get("stage", DEFAULT_STAGE))


def check_block(recipe: Recipe) -> None:
    """Refuse a `deepspeed:` block that contradicts the recipe or that umbel's proof of equality does not cover.

    Raises:
        ConfigError: naming both keys.
    """
    block = recipe.deepspeed or {}
    for key in block:
        if key not in _PASSED + _CHECKED:
            close = difflib.get_close_matches(str(key), _PASSED + _CHECKED, n=1)
            raise ConfigError(
                "is no key that umbel hands to DeepSpeed",
                where=f"deepspeed.{key}",
                hint=f"did you mean '{close[0]}'?" if close else f"there are {', '.join(sorted(_PASSED + _CHECKED))}",
            )
    _check_batches(recipe, block)
    _check_steps(recipe, block)
    _check_precision(recipe, block)
    _check_zero(block)


def wanted_precision(recipe: Recipe) -> str:
    """`train.precision`, or what the `deepspeed:` block says where that is "auto"."""
    if recipe.train.precision != "auto":
        return recipe.train.precision
    block = recipe.deepspeed or {}
    if _bf16_key(block):
        return "bf16"
    off = any(_section(block, name).get("enabled") is False for name in ("bf16", "torch_autocast"))
    return "fp32" if off else "auto"


def engine_config(recipe: Recipe, world_size: int) -> dict[str, Any]:
    """What `deepspeed.initialize` gets: the block, completed by what umbel sets itself.

    Batches are counted and accumulated by umbel (unmanaged accumulation): the counts in here are only bookkeeping.

    Raises:
        ConfigError: if `deepspeed.train_batch_size` is not that of this number of processes.
    """
    block = recipe.deepspeed or {}
    images = _images(recipe)
    _agree(block, "train_batch_size", images * recipe.train.accumulate * world_size, "tasks.*.batch_size and processes")
    config = {key: copy.deepcopy(block[key]) for key in _PASSED if key in block}
    stage = zero_stage(recipe)
    zero: dict[str, Any] = {
        "stage": stage,
        "reduce_bucket_size": _BUCKET,
        "allgather_bucket_size": _BUCKET,
        **({"stage3_prefetch_bucket_size": _BUCKET} if stage == 3 else {}),
        **({"overlap_comm": False} if stage < 2 else {}),
        **copy.deepcopy(_section(block, "zero_optimization")),
    }
    return {
        "steps_per_print": 10**9,
        **config,
        "train_micro_batch_size_per_gpu": images,
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": (recipe.optim.clip_norm or 0.0) if stage else 0.0,  # stage 0 clips in our own step hook
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,  # torch's AdamW on the CPU too: one arithmetic everywhere
        "zero_optimization": zero,
    }


def _images(recipe: Recipe) -> int:
    return sum(task.batch_size for task in recipe.tasks.values())


def _check_batches(recipe: Recipe, block: Mapping[str, Any]) -> None:
    _agree(block, "train_micro_batch_size_per_gpu", _images(recipe), "the sum of tasks.*.batch_size")
    _agree(block, "gradient_accumulation_steps", recipe.train.accumulate, "train.accumulate")
    if block.get("managed_gradient_accumulation", False) is not False:
        raise ConfigError(
            "must be false: several tasks' backwards make one step",
            where="deepspeed.managed_gradient_accumulation",
            hint="drop the key; use train.accumulate to accumulate composite batches",
        )


def _check_steps(recipe: Recipe, block: Mapping[str, Any]) -> None:
    optim = recipe.optim
    clip = block.get("gradient_clipping", "auto")
    if clip != "auto" and float(clip) != (optim.clip_norm or 0.0):
        raise _contradiction("gradient_clipping", clip, "optim.clip_norm", optim.clip_norm)
    if "scheduler" in block:
        raise ConfigError(
            "contradicts optim.schedule, which umbel runs itself",
            where="deepspeed.scheduler",
            hint="drop it and set optim.schedule, optim.warmup_steps and optim.min_lr",
        )
    if "optimizer" in block:
        optimizer = _section(block, "optimizer")
        if str(optimizer.get("type", "AdamW")).lower() != "adamw":
            raise ConfigError(
                f"is {optimizer['type']}, but umbel's optim block is torch's AdamW",
                where="deepspeed.optimizer.type",
                hint="drop deepspeed.optimizer",
            )
        for key, value in _section(optimizer, "params", "deepspeed.optimizer").items():
            ours = getattr(optim, key, None) if key in _HYPERPARAMETERS else None
            if value != "auto" and value != ours:
                raise _contradiction(f"optimizer.params.{key}", value, f"optim.{key}", ours)


def _check_precision(recipe: Recipe, block: Mapping[str, Any]) -> None:
    for key in ("fp16", "amp"):
        if _section(block, key).get("enabled", False):
            raise ConfigError(
                "is not supported: its loss scale would be lost between the tasks' backwards",
                where=f"deepspeed.{key}",
                hint="set train.precision=bf16",
            )
    key = _bf16_key(block)
    if key and recipe.train.precision == "fp32":
        raise _contradiction(f"{key}.enabled", True, "train.precision", "fp32")
    for name in ("bf16", "torch_autocast"):
        if _section(block, name).get("enabled") is False and recipe.train.precision == "bf16":
            raise _contradiction(f"{name}.enabled", False, "train.precision", "bf16")
    dtype = str(_section(block, "data_types").get("grad_accum_dtype") or "fp32")
    if dtype not in ("fp32", "float32"):
        raise ConfigError(
            f"is {dtype}, but train.precision keeps weights and gradients in fp32",
            where="deepspeed.data_types.grad_accum_dtype",
            hint="drop it",
        )


def _check_zero(block: Mapping[str, Any]) -> None:
    zero = _section(block, "zero_optimization")
    stage = zero.get("stage", DEFAULT_STAGE)
    if isinstance(stage, bool) or stage not in (0, 1, 2, 3):
        raise ConfigError(f"is {stage!r}", where="deepspeed.zero_optimization.stage", hint="choose 0, 1, 2 or 3")
    refusals = {
        "overlap_comm": (stage < 2 and zero.get("overlap_comm"), "works at stages 2 and 3 only"),
        "stage3_module_granularity_threshold": (
            zero.get("stage3_module_granularity_threshold"),
            "breaks heads that a step does not use",
        ),
        "offload_param": (_device(zero, "offload_param") != "none", "is outside what umbel's tests prove"),
        "offload_optimizer": (_device(zero, "offload_optimizer") not in ("none", "cpu"), "goes to cpu only"),
        "zero_hpz_partition_size": (zero.get("zero_hpz_partition_size", 1) != 1, "is outside what umbel's tests prove"),
        "mics_shard_size": (zero.get("mics_shard_size", -1) != -1, "is outside what umbel's tests prove"),
    }
    for key, (wrong, reason) in refusals.items():
        if wrong:
            raise ConfigError(reason, where=f"deepspeed.zero_optimization.{key}", hint="drop it")
    reason = offload_refusal(stage)
    if reason and _device(zero, "offload_optimizer") == "cpu":
        raise ConfigError(
            f"is cpu, but deepspeed.zero_optimization.stage is {stage}, which {reason}",
            where="deepspeed.zero_optimization.offload_optimizer.device",
            hint="choose stage 1 or 3",
        )


def offload_refusal(stage: int) -> str:
    """Why a stage cannot have its optimizer on the CPU, or ""."""
    return {0: "has no optimizer to offload", 2: "loses gradients when a step has several backwards"}.get(stage, "")


def _bf16_key(block: Mapping[str, Any]) -> str:
    """The key of the block that asks for bf16, or ""."""
    if _section(block, "bf16").get("enabled"):
        return "bf16"
    autocast = _section(block, "torch_autocast")
    if autocast.get("enabled") and "bfloat16" not in str(autocast.get("dtype", "bfloat16")):
        raise ConfigError(
            f"is {autocast['dtype']}, but train.precision knows fp32 and bf16", where="deepspeed.torch_autocast.dtype"
        )
    return "torch_autocast" if autocast.get("enabled") else ""


def _device(zero: Mapping[str, Any], key: str) -> str:
    return str(_section(zero, key, "deepspeed.zero_optimization").get("device", "none") or "none")


def _section(block: Mapping[str, Any], key: str, where: str = "deepspeed") -> Mapping[str, Any]:
    value = block.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigError(f"must be a mapping, not {value!r}", where=f"{where}.{key}")
    return value


def _agree(block: Mapping[str, Any], key: str, ours: int, our_key: str) -> None:
    value = block.get(key, "auto")
    if value not in ("auto", None) and value != ours:
        raise _contradiction(key, value, our_key, ours)


def _contradiction(key: str, value: Any, our_key: str, ours: Any) -> ConfigError:
    return ConfigError(
        f"is {value}, but {our_key} is {ours}", where=f"deepspeed.{key}", hint="make them agree, or drop the first"
    )
