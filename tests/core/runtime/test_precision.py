"""The precision is decided by rule, said the same by `check` and `train`, and written into the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from umbel.config.load import load_recipe
from umbel.predict.load import open_trained
from umbel.registry.plugins import Plugins
from umbel.runtime.precision import choose_precision
from umbel.training.run import Run
from umbel.workflows.check.preflight import preflight

Launch = Callable[..., Run]
NewPlugins = Callable[[], Plugins]


def written(run: Run, plugins: Plugins) -> str:
    return load_recipe(str(run.directory / "recipe.yaml"), (), plugins).typed.train.precision


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_stated_precision_is_taken(wanted: str, device: str) -> None:
    assert choose_precision(wanted, torch.device(device)) == wanted


def test_auto_on_a_cpu_is_fp32_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: pytest.fail("a clock was read"))
    assert {choose_precision("auto", torch.device("cpu")) for _ in range(10)} == {"fp32"}


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp32")])
def test_auto_on_a_gpu_asks_whether_it_computes_in_bf16(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation  # a V100 emulates it, slower than fp32

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert choose_precision("auto", torch.device("cuda", 1)) == expected


def test_the_decision_stands_in_the_run(launch: Launch, new_plugins: NewPlugins) -> None:
    assert written(launch("a", "train.precision=auto"), new_plugins()) == "fp32"
    assert written(launch("b", "train.precision=bf16"), new_plugins()) == "bf16"


@pytest.mark.parametrize(("block", "expected"), [("bf16: {enabled: true}", "bf16"), ("bf16: {enabled: false}", "fp32")])
def test_check_says_what_training_uses(
    recipe_file: Path, new_plugins: NewPlugins, monkeypatch: pytest.MonkeyPatch, block: str, expected: str
) -> None:
    monkeypatch.setattr(
        "umbel.runtime.build.choose_precision", lambda wanted, device: "bf16" if wanted == "auto" else wanted
    )
    recipe_file.write_text(
        recipe_file.read_text().replace("precision: fp32", "precision: auto") + f"deepspeed: {{{block}}}\n"
    )
    plugins = new_plugins()
    loaded = load_recipe(str(recipe_file), (), plugins)
    assert preflight(loaded).precision == expected
    plain = replace(loaded, typed=replace(loaded.typed, deepspeed=None))
    assert preflight(plain).precision == "bf16"


def test_a_run_goes_on_in_the_precision_it_began_with(
    launch: Launch, new_plugins: NewPlugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another device, where "auto" would be decided differently."""
    run = launch("a", "train.precision=auto", "train.save_every=3", stop=5)
    monkeypatch.setattr("umbel.runtime.build.choose_precision", lambda wanted, device: "bf16")
    resumed = launch("a", "train.precision=auto", "train.save_every=3", resume=True)
    assert resumed.runtime.precision == "fp32"
    assert written(run, new_plugins()) == "fp32"


def test_a_run_of_before_the_rule_goes_on(launch: Launch, new_plugins: NewPlugins) -> None:
    """Its recipe says "auto", its checkpoint what the clock chose."""
    run = launch("a", "train.precision=bf16", "train.save_every=3", stop=5)
    recipe = run.directory / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("precision: bf16", "precision: auto"))
    resumed = launch("a", "train.precision=auto", "train.save_every=3", resume=True)
    assert resumed.runtime.precision == "bf16"
    assert written(run, new_plugins()) == "bf16"
    assert open_trained(str(run.directory), (), "latest", new_plugins())[2].precision == "bf16"
