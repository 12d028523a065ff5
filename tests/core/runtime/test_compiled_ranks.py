"""Two ranks at ZeRO 0 and 1 train compiled as they train eagerly; at stages 2 and 3 nothing is compiled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from trio_data import write_trio
from zero_toys import TESTS, launch_ranks

from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError
from umbel.registry.plugins import Plugins
from umbel.runtime.build import build, compile_model


@pytest.mark.slow
def test_two_ranks_train_compiled_as_eagerly(tmp_path: Path) -> None:
    recipe = write_trio(tmp_path)
    for result in launch_ranks(2, str(TESTS / "compiled_worker.py"), str(recipe), str(tmp_path)):
        assert result.returncode == 0, result.stderr[-2000:]
    for stage in (0, 1):
        eager, compiled = (load_file(tmp_path / f"{stage}-{wanted}.safetensors") for wanted in ("off", "on"))
        assert compiled.keys() == eager.keys()
        for name, value in eager.items():
            torch.testing.assert_close(compiled[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("stage", [2, 3])
def test_other_stages_are_refused_by_name(stage: int, tmp_path: Path) -> None:
    settings = ["train.compile=on", f"deepspeed.zero_optimization.stage={stage}"]
    loaded = load_recipe(str(write_trio(tmp_path)), settings, Plugins.discover())
    _, model = build(loaded.typed, loaded.plugins, pretrained=False)
    with pytest.raises(ConfigError, match=rf"deepspeed\.zero_optimization\.stage is {stage}") as caught:
        compile_model(loaded.typed, model)
    assert caught.value.where == "train.compile"
