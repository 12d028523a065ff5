"""The `deepspeed:` block: what contradicts the recipe is refused by both names, the rest is completed."""

from __future__ import annotations

from typing import Any

import pytest

from umbel.config.deepspeed import check_block, engine_config, wanted_precision, zero_stage
from umbel.config.schema import OptimConfig, Recipe, TrainConfig
from umbel.contract.errors import ConfigError
from umbel.contract.task_config import TaskConfig


def recipe(block: dict[str, Any] | None, **train: Any) -> Recipe:
    tasks = {"a": TaskConfig("x", 4, (32, 32)), "b": TaskConfig("x", 2, (32, 32))}
    return Recipe(tasks=tasks, optim=OptimConfig(clip_norm=0.5), train=TrainConfig(**train), deepspeed=block)


REFUSED = {
    "clip": ({"gradient_clipping": 1.0}, r"deepspeed\.gradient_clipping: is 1\.0, but optim\.clip_norm is 0\.5"),
    "accumulation": (
        {"gradient_accumulation_steps": 4},
        r"gradient_accumulation_steps: is 4, but train\.accumulate is 1",
    ),
    "micro batch": (
        {"train_micro_batch_size_per_gpu": 8},
        r"train_micro_batch_size_per_gpu: is 8, but the sum of tasks\.\*\.batch_size is 6",
    ),
    "managed": (
        {"managed_gradient_accumulation": True},
        r"managed_gradient_accumulation: must be false.*train\.accumulate",
    ),
    "scheduler": ({"scheduler": {"type": "WarmupLR"}}, r"deepspeed\.scheduler: contradicts optim\.schedule"),
    "optimizer": ({"optimizer": {"type": "SGD"}}, r"deepspeed\.optimizer\.type: is SGD, but umbel's optim"),
    "lr": ({"optimizer": {"type": "AdamW", "params": {"lr": 0.1}}}, r"params\.lr: is 0\.1, but optim\.lr is 0\.0001"),
    "torch_adam": (
        {"optimizer": {"params": {"torch_adam": True}}},
        r"params\.torch_adam: is True, but optim\.torch_adam",
    ),
    "fp16": ({"fp16": {"enabled": True}}, r"deepspeed\.fp16: is not supported.*train\.precision=bf16"),
    "half accumulation": (
        {"data_types": {"grad_accum_dtype": "bf16"}},
        r"grad_accum_dtype: is bf16, but train\.precision",
    ),
    "stage": ({"zero_optimization": {"stage": 4}}, r"zero_optimization\.stage: is 4"),
    "overlap": ({"zero_optimization": {"stage": 1, "overlap_comm": True}}, r"overlap_comm: works at stages 2 and 3"),
    "granularity": (
        {"zero_optimization": {"stage": 3, "stage3_module_granularity_threshold": 5}},
        "stage3_module_granularity_threshold: breaks heads",
    ),
    "offload": (
        {"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}},
        r"offload_optimizer\.device: is cpu, but deepspeed\.zero_optimization\.stage is 2, which loses gradients",
    ),
    "nvme": ({"zero_optimization": {"offload_optimizer": {"device": "nvme"}}}, "offload_optimizer: goes to cpu only"),
    "misspelt": (
        {"zero_optimisation": {"stage": 3}},
        r"deepspeed\.zero_optimisation: .*did you mean 'zero_optimization'",
    ),
    "no mapping": ({"zero_optimization": 3}, r"deepspeed\.zero_optimization: must be a mapping, not 3"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_contradictions_name_both_keys(case: str) -> None:
    block, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message):
        check_block(recipe(block))


@pytest.mark.parametrize(
    ("block", "precision", "key"),
    [
        ({"bf16": {"enabled": True}}, "fp32", r"deepspeed\.bf16\.enabled: is True, but train\.precision is fp32"),
        ({"bf16": {"enabled": False}}, "bf16", r"deepspeed\.bf16\.enabled: is False, but train\.precision is bf16"),
        ({"torch_autocast": {"enabled": True}}, "fp32", r"torch_autocast\.enabled: is True, but train\.precision"),
    ],
)
def test_precision_is_said_once(block: dict[str, Any], precision: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        check_block(recipe(block, precision=precision))


def test_what_agrees_is_accepted_and_completed() -> None:
    block = {
        "train_micro_batch_size_per_gpu": 6,
        "train_batch_size": 36,
        "gradient_accumulation_steps": 3,
        "gradient_clipping": 0.5,
        "optimizer": {"type": "AdamW", "params": {"lr": 1e-4, "betas": "auto"}},
        "bf16": {"enabled": True},
        "zero_optimization": {"stage": 3, "reduce_bucket_size": 1000},
        "wall_clock_breakdown": True,
    }
    written = recipe(block, accumulate=3)
    check_block(written)
    config = engine_config(written, world_size=2)
    assert wanted_precision(written) == "bf16"
    assert zero_stage(written) == 3
    assert config["gradient_clipping"] == 0.5
    assert config["managed_gradient_accumulation"] is False
    assert config["gradient_accumulation_steps"] == 1
    assert config["wall_clock_breakdown"] is True
    assert config["zero_optimization"]["reduce_bucket_size"] == 1000
    assert not {"optimizer", "bf16", "train_batch_size"} & config.keys()
    with pytest.raises(ConfigError, match=r"train_batch_size: is 36, but tasks\.\*\.batch_size and processes is 18"):
        engine_config(written, world_size=1)


def test_no_block_means_stage_1_and_no_clipping_means_zero() -> None:
    plain = recipe(None)
    plain.optim.clip_norm = None
    check_block(plain)
    config = engine_config(plain, world_size=2)
    assert config["zero_optimization"]["stage"] == 1
    assert config["gradient_clipping"] == 0.0  # DeepSpeed's default is 1.0
    assert wanted_precision(plain) == "auto"
