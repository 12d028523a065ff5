"""The recipe as typed dataclasses. `umbel.recipe` loads YAML into them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from umbel.config.balancing import BalancerConfig
from umbel.config.growth import GrowthConfig
from umbel.contract.options import check_choice, check_range, option
from umbel.contract.source_config import SourceConfig
from umbel.contract.task_config import TaskConfig
from umbel.schedule.config import EarlyStopConfig, ScheduleConfig


@dataclass
class BackboneConfig:
    """The backbone that all tasks share."""

    name: str = option("timm", "which backbone plugin: see `umbel plugins`")
    options: Any = option({}, "the backbone's own options: `umbel show --schema NAME`")


@dataclass
class OptimConfig:
    """AdamW, linear warm-up, then cosine."""

    lr: float = option(1e-4, "learning rate after warm-up")
    weight_decay: float = option(1e-4, "decoupled weight decay")
    betas: list[float] = option([0.9, 0.999], "AdamW momentum coefficients")
    eps: float = option(1e-8, "AdamW denominator term")
    decay_norm_bias: bool = option(True, "decay biases, norms and other one-dimensional parameters too")
    backbone_lr_scale: float = option(1.0, "factor on the learning rate of the backbone")
    layer_decay: float = option(1.0, "factor on the learning rate per backbone stage, counted from the last")
    warmup_steps: int = option(200, "steps of linear warm-up from 0")
    schedule: str = option("cosine", "cosine or constant after the warm-up")
    min_lr: float = option(1e-8, "where the cosine ends")
    clip_norm: float | None = option(1.0, "largest global gradient norm; null does not clip")

    def __post_init__(self) -> None:
        check_choice("schedule", self.schedule, ("cosine", "constant"))
        check_range("lr", self.lr, 0.0, 100.0)
        check_range("weight_decay", self.weight_decay, 0.0, 100.0)
        if len(self.betas) != 2:
            raise ValueError(f"betas is {self.betas}; expected two numbers")
        for beta in self.betas:
            check_range("betas", beta, 0.0, 0.999999)
        check_range("eps", self.eps, 1e-20, 1.0)  # 0 divides by 0 where a weight has no gradient
        check_range("backbone_lr_scale", self.backbone_lr_scale, 0.0, 1e6)
        check_range("layer_decay", self.layer_decay, 1e-3, 1.0)
        check_range("warmup_steps", self.warmup_steps, 0, 10**9)
        check_range("min_lr", self.min_lr, 0.0, 100.0)
        if self.clip_norm is not None:
            check_range("clip_norm", self.clip_norm, 1e-12, 1e12)  # a negative one would turn the gradient round


@dataclass
class TrainConfig:
    """How long, how exact, how often to look."""

    epochs: float = option(100.0, "passes over the longest task's data; ignored when steps is given")
    steps: int | None = option(None, "optimizer steps")
    accumulate: int = option(1, "composite batches whose mean gradient makes one optimizer step")
    seed: int = option(0, "decides weights, order, augmentation and dropout")
    precision: str = option(
        "auto",
        "fp32, bf16 (autocast), or auto: bf16 on GPUs that compute in it, else fp32; a CPU evaluates in fp32 always",
    )
    deterministic: bool = option(
        False, "on a GPU only kernels that repeat to the bit, some of them slower; a task without is refused by name"
    )
    channels_last: bool = option(True, "memory format of images and convolutions")
    compile: str = option(
        "auto", "one compiled graph a task in training: on, off, or auto: on a GPU whose Triton works, below ZeRO 2"
    )
    tf32: bool = option(False, "on a GPU fp32 products and convolutions in TF32: ten bits of a factor, on tensor cores")
    device: str = option("auto", "auto, cpu, cuda or cuda:N")
    ema_decay: float = option(0.0, "decay of the EMA weights that are evaluated; 0 turns averaging off")
    eval_every: int = option(0, "steps between evaluations; 0 evaluates only at the end")
    save_every: int = option(0, "steps between checkpoints; 0 saves only at the end")
    keep_checkpoints: int = option(2, "newest good checkpoints that stay, at least 2; those called best stay as well")
    keep_every: int = option(0, "steps between checkpoints that stay for ever; 0 keeps none")
    save_async: bool = option(
        True, "write checkpoints while training goes on, from a copy: as much main memory again as a checkpoint has"
    )
    save_failures: int = option(3, "saves in a row that the disk may refuse before the run ends")
    log_every: int = option(10, "steps between log lines")
    bad_samples: float = option(
        0.0,
        "training samples of a task that may be bad and are replaced by others: a number, or below 1 a fraction; "
        "0 stops at the first",
    )
    timeout: float = option(
        1800.0, "seconds a process waits for the others, while they prepare, evaluate or save, before the job ends"
    )
    collective_timeout: float = option(300.0, "the same within training steps, where no process has reason to be late")
    non_finite: str = option("stop", "on a loss or gradient that is NaN or infinite: stop the run, or skip the step")
    non_finite_limit: int = option(10, "skipped steps in a row that stop the run all the same")
    schedule: ScheduleConfig = field(
        default_factory=ScheduleConfig, metadata={"doc": "which tasks take part in which step"}
    )
    balancer: BalancerConfig = field(
        default_factory=BalancerConfig, metadata={"doc": "what sets the tasks' weights while training"}
    )
    early_stop: EarlyStopConfig = field(
        default_factory=EarlyStopConfig, metadata={"doc": "when the run may end before its last step"}
    )

    def __post_init__(self) -> None:
        check_range("epochs", self.epochs, 1e-6, 1e9)
        if self.steps is not None:
            check_range("steps", self.steps, 1, 10**8 - 1)
        check_range("accumulate", self.accumulate, 1, 65536)
        check_range("timeout", self.timeout, 1.0, 1e6)
        check_range("collective_timeout", self.collective_timeout, 1.0, 1e6)
        check_range("eval_every", self.eval_every, 0, 10**9)
        check_range("save_every", self.save_every, 0, 10**9)
        check_range("keep_checkpoints", self.keep_checkpoints, 2, 10**9)
        check_range("keep_every", self.keep_every, 0, 10**9)
        check_range("save_failures", self.save_failures, 1, 10**9)
        check_range("log_every", self.log_every, 1, 10**9)
        check_range("bad_samples", self.bad_samples, 0.0, 1e9)
        check_choice("non_finite", self.non_finite, ("stop", "skip"))
        check_range("non_finite_limit", self.non_finite_limit, 1, 10**9)
        if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", self.device):
            raise ValueError(f"device: {self.device!r} is not a device; choose auto, cpu, cuda or cuda:N")
        check_choice("precision", self.precision, ("auto", "fp32", "bf16"))
        self.compile = {"True": "on", "False": "off"}.get(self.compile, self.compile)  # YAML's on and off
        check_choice("compile", self.compile, ("auto", "on", "off"))
        check_range("ema_decay", self.ema_decay, 0.0, 0.999999)
        check_range("seed", self.seed, 0, 2**63 - 1)
        if self.early_stop.mode != "none" and not self.eval_every:
            raise ValueError("early_stop needs evaluations during training: set eval_every")


@dataclass
class Recipe:
    """A whole run, as written in YAML."""

    tasks: dict[str, TaskConfig] = field(default_factory=dict, metadata={"doc": "task name to task"})
    sources: dict[str, SourceConfig] = field(
        default_factory=dict, metadata={"doc": "source name to images that several tasks label; tasks name theirs"}
    )
    backbone: BackboneConfig = field(
        default_factory=BackboneConfig, metadata={"doc": "the network that all tasks share"}
    )
    optim: OptimConfig = field(default_factory=OptimConfig, metadata={"doc": "optimizer and schedule"})
    train: TrainConfig = field(default_factory=TrainConfig, metadata={"doc": "length, precision, logging"})
    deepspeed: dict[str, Any] | None = option(
        None, "DeepSpeed's own configuration; several processes without one use ZeRO stage 1"
    )
    growth: GrowthConfig = field(
        default_factory=GrowthConfig, metadata={"doc": "how `umbel add-task` made this run out of another"}
    )
    score: str = option(
        "mean", "overall score: mean of the main metrics, or a formula such as (road.miou + cars.top1) / 2"
    )
