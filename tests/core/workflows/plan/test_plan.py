"""`umbel plan`: model built without data, activations as those of real tensors, stages that fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from toys import BrightTask

from umbel import Losses
from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError
from umbel.io.text import size_text
from umbel.model.model import MultiTaskModel
from umbel.model.peaks import named_peak
from umbel.registry.plugins import Plugins
from umbel.runtime.build import build
from umbel.runtime.live_bytes import LiveBytes
from umbel.workflows.plan.fit import Cluster
from umbel.workflows.plan.plan import make_plan
from umbel.workflows.plan.units import parse_size

GIB = 2**30


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    """Toys large enough for activations to be seen beside the weights."""
    path = tmp_path / "toy.yaml"
    path.write_text(
        "backbone: {name: tiny, options: {width: 64}}\n"
        "tasks:\n"
        "  first: {kind: bright, batch_size: 4, input_size: [64, 96]}\n"
        "  second: {kind: bright, batch_size: 2, input_size: [32, 32]}\n"
        "train: {steps: 1, precision: fp32}\n"
    )
    return path


@pytest.fixture
def planned(recipe_file: Path, new_plugins: Callable[[], Plugins]) -> Callable[..., object]:
    def go(cluster: Cluster, *overrides: str) -> object:
        plugins = new_plugins()
        recipe = load_recipe(str(recipe_file), overrides, plugins).typed
        return make_plan(recipe, plugins, cluster, device=named_peak("A100"))

    return go


def measured_peak(model: MultiTaskModel, task: str, shape: tuple[int, ...]) -> int:
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    known = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters() if p.grad is not None)]
    with LiveBytes(known) as live:
        images = torch.zeros(shape, dtype=torch.uint8).to(memory_format=torch.channels_last)
        out = model(images, task)
        torch.autograd.backward(out, torch.zeros_like(out))
    return live.peak


def test_activations_are_those_of_real_tensors(planned, recipe_file, new_plugins):
    plan = planned(Cluster(1, 1, GIB, 0.1))
    plugins = new_plugins()
    recipe = load_recipe(str(recipe_file), (), plugins).typed
    _, model = build(recipe, plugins, pretrained=False)
    for task, batch in (("first", 4), ("first", 12), ("second", 2)):
        size = recipe.tasks[task].input_size
        found = next(row for row in plan.activations if row.task == task)
        assert found.loss_measured
        assert found.peak(batch) == pytest.approx(measured_peak(model, task, (batch, 3, *size)), rel=0.03)
    assert plan.elements == {"": 64 * 3 * 64 + 64 * 3, "first": 65, "second": 65}
    assert not any(p.is_meta for p in model.parameters())


def test_peak_is_that_of_the_largest_task_and_batches_grow_by_themselves(planned):
    plan = planned(Cluster(4, 2, 8 * 2**20, 0.0))
    first, second = plan.activations
    for stage in plan.stages:
        assert stage.activations == max(first.peak(4), second.peak(2)) == first.peak(4)
        for task in plan.activations:
            batch = stage.largest_batch[task.task]
            assert stage.states.total + task.peak(batch) <= 8 * 2**20 < stage.states.total + task.peak(batch + 1)
    assert plan.images_per_step == 4 * 6
    assert plan.stage == 0
    assert [stage.network for stage in plan.stages] != [stage.traffic for stage in plan.stages]


def test_a_lower_stage_that_does_not_fit_is_passed_over(planned):
    roomy = planned(Cluster(8, 1, GIB, 0.0))
    assert roomy.stage == 0
    needed = [stage.total for stage in roomy.stages]
    tight = planned(Cluster(8, 1, needed[1], 0.0))
    assert needed[1] < needed[0]
    assert tight.stage == 1
    assert not tight.stages[0].fits


def test_nodes_must_share_evenly(planned):
    with pytest.raises(ConfigError, match="6 GPUs cannot be shared evenly by 4 nodes"):
        planned(Cluster(6, 4, GIB, 0.1))


def test_the_deepspeed_block_counts(planned):
    plain = planned(Cluster(2, 1, GIB, 0.1))
    offloaded = planned(
        Cluster(2, 1, GIB, 0.1), "deepspeed.zero_optimization={stage: 1, offload_optimizer: {device: cpu}}"
    )
    assert plain.stages[1].states.moments > 0
    assert offloaded.stages[1].states.moments == offloaded.stages[1].states.master == 0
    assert offloaded.stages[0].states.moments > 0  # stage 0 offloads nothing
    assert [bool(stage.refused) for stage in offloaded.stages] == [True, False, True, False]
    assert not any(stage.refused for stage in plain.stages)
    assert (plain.stage, offloaded.stage) == (0, 1)


def test_what_the_plan_refuses_training_refuses_too(planned, recipe_file, new_plugins):
    offload = "offload_optimizer: {device: cpu}"
    plan = planned(Cluster(8, 1, GIB, 0.0), f"deepspeed.zero_optimization={{stage: 1, {offload}}}")
    for stage in plan.stages:
        block = f"deepspeed.zero_optimization={{stage: {stage.stage}, {offload}}}"
        with pytest.raises(ConfigError, match=stage.refused) if stage.refused else nullcontext():
            load_recipe(str(recipe_file), (block,), new_plugins())


def test_operations_by_hand(planned):
    plan = planned(Cluster(1, 1, GIB, 0.1), "train.accumulate=3")
    for task, batch, pixels in (("first", 4, 64 * 96), ("second", 2, 32 * 32)):
        found = next(row for row in plan.flops if row.task == task)
        convolution = 2 * batch * pixels * 3 * 64  # 8 x 8 of stride 8: each pixel meets each channel once
        assert (found.backbone_forward, found.backbone_backward) == (3 * convolution, 3 * convolution)
        linear = 2 * batch * 64
        assert (found.head_forward, found.head_backward) == (3 * linear, 3 * 2 * linear)
    total = sum(row.total for row in plan.flops)
    assert plan.step_time.peak == 19.5e12
    assert plan.step_time.precision == "fp32"
    for share, seconds in plan.step_time.seconds.items():
        assert seconds * 19.5e12 * share / 100 == pytest.approx(total)
    assert list(plan.step_time.seconds) == [30, 40, 50]


def test_bf16_has_a_peak_of_its_own(planned):
    times = [planned(Cluster(1, 1, GIB, 0.1), f"train.precision={name}").step_time for name in ("fp32", "bf16", "auto")]
    assert [time.precision for time in times] == ["fp32", "bf16", "bf16"]
    assert times[0].seconds[50] / times[1].seconds[50] == pytest.approx(312 / 19.5)


def test_a_loss_that_multiplies_counts_with_its_head(planned, monkeypatch):
    plain = planned(Cluster(1, 1, GIB, 0.1)).flops[0]
    original = BrightTask.loss

    def multiplies(self, outputs, targets):
        losses = original(self, outputs, targets)
        return Losses(losses.total + (outputs[:, None] @ outputs[None]).sum(), losses.parts)

    monkeypatch.setattr(BrightTask, "loss", multiplies)
    heavier = planned(Cluster(1, 1, GIB, 0.1)).flops[0]
    assert heavier.head_forward - plain.head_forward == 2 * 4 * 4
    assert heavier.head_backward - plain.head_backward == 2 * 2 * 4 * 4
    assert heavier.backbone_forward == plain.backbone_forward


def test_what_a_grown_recipe_freezes_is_not_trained_nor_planned(planned):
    whole = planned(Cluster(1, 1, GIB, 0.1))
    grown = planned(Cluster(1, 1, GIB, 0.1), "growth.mode=frozen", "growth.kept=[first]")
    assert [row.task for row in grown.flops] == [row.task for row in grown.activations] == ["second"]
    assert grown.flops[0].backbone_backward == 0
    assert grown.flops[0].backbone_forward == whole.flops[1].backbone_forward
    assert grown.elements == {"": 0, "first": 0, "second": 65}
    assert grown.images_per_step == 2


def test_unread_labels_are_said(planned, tmp_path, recipe_file):
    recipe_file.write_text(recipe_file.read_text().replace("kind: bright", "kind: bright, options: {count: 0}", 1))
    plan = planned(Cluster(1, 1, GIB, 0.1))
    assert [task.loss_measured for task in plan.activations] == [False, True]
    assert any("labels of first were not read" in line for line in plan.assumptions)


def test_sizes():
    written = {"80G": 80 * GIB, "80GiB": 80 * GIB, "24": 24 * GIB, " 512 M ": GIB // 2, "1.5t": 1536 * GIB}
    assert {text: parse_size(text) for text in written} == written


@pytest.mark.parametrize("text", ["", "G", "-1G", "80X", "0", "nan"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


def test_size_text():
    assert [size_text(n) for n in (2**20, 2**30, 0)] == ["1.0 MiB", "1.00 GiB", "0 bytes"]


@pytest.fixture
def command(distribute, recipe_file):
    distribute("toy-tasks")
    from umbel.cli.plan import plan

    return lambda *arguments: CliRunner().invoke(plan, [str(recipe_file), *arguments], catch_exceptions=False)


def test_command_prints_tables(command):
    result = command("--gpus", "2", "--memory", "1G")
    assert result.exit_code == 0
    for expected in ("ZeRO 3", "first", "second", "Use ZeRO 0", "12 images a step", "Assumptions"):
        assert expected in result.stdout


def test_command_prints_the_work_of_a_step(command):
    text = command("--memory", "1G", "--device", "h100").stdout
    assert "TFLOP a step" in text
    total = 2 * (2 * (4 * 64 * 96 + 2 * 32 * 32) * 3 * 64) + 3 * 2 * (4 + 2) * 64
    assert f"A step on H100 (peak 67 TFLOP/s in fp32): {total / 67e12 / 0.3:.3g} s at 30 %" in text
    assert f"{total / 1e12:.3g}" in text
    assert "A step on" not in command("--memory", "1G").stdout
    assert command("--device", "abacus").exit_code == 2


def test_command_names_what_is_refused(command):
    text = command(
        "--gpus", "2", "--memory", "1G", "deepspeed.zero_optimization={stage: 1, offload_optimizer: {device: cpu}}"
    )
    assert "Use ZeRO 1" in text.stdout
    assert "ZeRO 2 is refused: it loses gradients when a step has several backwards" in text.stdout


def test_command_prints_json_and_exits_1_when_nothing_fits(command):
    result = command("--memory", "1M", "--json", "--device", "L4")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert [row["task"] for row in content["flops"]] == ["first", "second"]
    assert content["flops"][1]["total"] == 2 * 2 * 2 * 32 * 32 * 3 * 64 + 3 * 2 * 2 * 64
    assert content["step_time"]["device"] == "L4"
    assert list(content["step_time"]["seconds"]) == ["30", "40", "50"]
    assert content["stage"] is None
    assert [stage["stage"] for stage in content["stages"]] == [0, 1, 2, 3]
    assert all(stage["total"] > 2**20 for stage in content["stages"])
    assert "Nothing fits" in command("--memory", "1M").stdout


def test_command_refuses_what_is_no_size(command):
    result = command("--memory", "much")
    assert result.exit_code == 2
    assert "is not a size" in result.output
