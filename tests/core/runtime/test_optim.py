"""Schedule and parameter groups against golden numbers and by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toys import BrightOptions, BrightTask, TinyBackbone, TinyOptions

from umbel.config.schema import OptimConfig, TrainConfig
from umbel.contract.task_config import TaskConfig
from umbel.model.model import MultiTaskModel, build_model
from umbel.runtime.local import LocalRuntime
from umbel.runtime.optim import build_optimizer, lr_factor, parameter_groups
from umbel.testing.gpu import pretended_gpu


def test_learning_rates_are_the_golden_ones(golden: Callable[[str], Any]) -> None:
    for case in golden("lr_schedule.json")["cases"].values():
        config = OptimConfig(lr=case["base_lr"], warmup_steps=case["warmup"], min_lr=case["eta_min"])
        for step, expected in case["lr_at_step"].items():
            rate = config.lr * lr_factor(int(step), case["T_max"], config)
            assert rate == pytest.approx(expected, rel=1e-6, abs=1e-14)


def test_rate_is_flat_beyond_the_end_and_without_a_cosine() -> None:
    config = OptimConfig(lr=1.0, warmup_steps=2, min_lr=0.1)
    assert lr_factor(10**6, 10, config) == pytest.approx(0.1)
    assert [lr_factor(step, 10, OptimConfig(warmup_steps=2, schedule="constant")) for step in range(4)] == [
        0,
        0.5,
        1,
        1,
    ]
    assert lr_factor(0, 10, OptimConfig(warmup_steps=0)) == 1.0


class TwoParameters(MultiTaskModel):
    """The weight and bias of the golden AdamW runs, in place of a model."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.w = nn.Parameter(torch.tensor([[0.5, -1, 2], [0.1, 0.2, -0.3]]))
        self.b = nn.Parameter(torch.tensor([0.3, -0.2, 1.5]))


@pytest.mark.parametrize(
    ("case", "decay", "clip"), [("wd0_noclip", 0.0, None), ("wd1e1_noclip", 0.1, None), ("wd1e4_clip01", 1e-4, 0.1)]
)
def test_steps_are_the_golden_ones(golden: Callable[[str], Any], case: str, decay: float, clip: float | None) -> None:
    model = TwoParameters()
    config = OptimConfig(lr=1.0, weight_decay=decay, warmup_steps=0, schedule="constant", clip_norm=clip)
    optimizer = torch.optim.AdamW(
        [{"params": [model.w, model.b], "initial_lr": 1.0, "weight_decay": decay}], lr=1.0, betas=(0.9, 0.999), eps=1e-8
    )
    runtime = LocalRuntime(model, optimizer, optim=config, train=TrainConfig(), precision="fp32", total_steps=10)
    for k, (rate, (w, b)) in enumerate(zip((1e-2, 5e-3, 1e-3), golden("adamw_clip.json")["cases"][case], strict=True)):
        optimizer.param_groups[0]["initial_lr"] = rate
        model.w.grad = torch.sin(torch.arange(6, dtype=torch.float32) + k).reshape(2, 3)
        model.b.grad = torch.cos(torch.arange(3, dtype=torch.float32) + k)
        runtime.step()
        torch.testing.assert_close(model.w.data, torch.tensor(w), rtol=2e-6, atol=2e-7)
        torch.testing.assert_close(model.b.data, torch.tensor(b), rtol=2e-6, atol=2e-7)


class TwoStages(TinyBackbone):
    def stage_of_parameters(self) -> dict[str, int]:
        return {name: int(not name.startswith("conv")) for name, _ in self.named_parameters()}


def model_and_tasks() -> tuple[MultiTaskModel, dict[str, BrightTask]]:
    def toy(name: str, lr_scale: float) -> BrightTask:
        return BrightTask(name, TaskConfig("bright", 2, (8, 8), lr_scale=lr_scale), BrightOptions())

    tasks = {"a": toy("a", 1.0), "b": toy("b", 3.0)}
    return build_model(TwoStages(TinyOptions()), tasks, 0), tasks


def rates_and_decays(config: OptimConfig) -> dict[str, tuple[float, float]]:
    model, tasks = model_and_tasks()
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = {}
    for group in parameter_groups(model, tasks, config):
        assert group["lr"] == group["initial_lr"]
        for parameter in group["params"]:
            found[names[id(parameter)]] = (group["lr"], group["weight_decay"])
    assert len(found) == len(names)
    return found


def test_heads_and_stages_have_their_own_rates() -> None:
    found = rates_and_decays(OptimConfig(lr=0.1, weight_decay=0.2, backbone_lr_scale=0.5, layer_decay=0.1))
    expected = {"heads.a.linear.weight": 0.1, "heads.b.linear.bias": 0.3}
    expected |= {"backbone.norm.weight": 0.1 * 0.5 * 0.1, "backbone.conv.bias": 0.1 * 0.5 * 0.1**2}
    for name, rate in expected.items():
        assert found[name] == (pytest.approx(rate), 0.2)


def test_norms_and_biases_can_be_spared_decay() -> None:
    found = rates_and_decays(OptimConfig(weight_decay=0.2, decay_norm_bias=False))
    decaying = {name for name, (_, decay) in found.items() if decay}
    assert decaying == {"backbone.conv.weight", "heads.a.linear.weight", "heads.b.linear.weight"}


def test_frozen_parameters_are_left_out_and_betas_arrive() -> None:
    model, tasks = model_and_tasks()
    model.backbone.requires_grad_(False)
    optimizer = build_optimizer(model, tasks, OptimConfig(betas=[0.8, 0.95], eps=1e-6))
    held: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in model.heads.parameters()}
    assert {(group["betas"], group["eps"]) for group in optimizer.param_groups} == {((0.8, 0.95), 1e-6)}


def test_fused_kernels_and_loops_give_the_same_weights_and_take_over_from_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in ((64, 3, 7, 7), (64,), (1000, 64))]
    gradients = [[torch.randn(value.shape, generator=generator) for value in start] for _ in range(20)]

    def trained(**way: bool) -> list[Tensor]:
        parameters = [nn.Parameter(value.clone()) for value in start]
        optimizer = torch.optim.AdamW(parameters, lr=1e-2, weight_decay=0.1, **way)
        for values in gradients:
            for parameter, value in zip(parameters, values, strict=True):
                parameter.grad = value
            optimizer.step()
        return [parameter.detach() for parameter in parameters]

    plain = trained(foreach=False)
    for way in ("foreach", "fused"):
        for mine, expected in zip(trained(**{way: True}), plain, strict=True):
            torch.testing.assert_close(mine, expected, rtol=1e-6, atol=1e-6)


def test_a_gpu_has_the_fused_kernel_and_its_counters_whatever_wrote_them() -> None:
    with pretended_gpu() as gpu:
        model, tasks = model_and_tasks()
        plain = local_runtime(model, tasks)
        step(plain)
        saved = plain.optimizer_tensors()
        assert not plain.optimizer.defaults["fused"]
        fused = local_runtime(model_and_tasks()[0].to("cuda"), tasks)
        assert fused.optimizer.defaults["fused"]
        fused.load_optimizer(saved, "here")
        step(fused)
        counters = [entries["step"] for entries in fused.optimizer.state.values()]
        assert all(gpu.holds(counter) for counter in counters)
        assert {float(counter) for counter in counters} == {2.0}
        plain.load_optimizer(fused.optimizer_tensors(), "here")
        step(plain)
        counters = [entries["step"] for entries in plain.optimizer.state.values()]
        assert not any(gpu.holds(counter) for counter in counters)
        assert {float(counter) for counter in counters} == {3.0}


def local_runtime(model: MultiTaskModel, tasks: dict[str, BrightTask]) -> LocalRuntime:
    config = OptimConfig()
    optimizer = build_optimizer(model, tasks, config)
    return LocalRuntime(model, optimizer, optim=config, train=TrainConfig(), precision="fp32", total_steps=9)


def step(runtime: LocalRuntime) -> None:
    for parameter in runtime.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    runtime.step()
