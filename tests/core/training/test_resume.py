"""Going on is refused where the recipe has changed, and where nobody can tell whether it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forgery import forge
from safetensors.torch import load_file
from safetensors.torch import save as serialize

from umbel.config.edit import changed_keys
from umbel.contract.errors import CheckpointError, ConfigError
from umbel.training.run import Run

Launch = Callable[..., Run]


@pytest.mark.parametrize("name", ["score", "device", "timeout", "workers", "batch_size", "deepspeed"])
def test_a_task_or_an_option_called_like_a_free_key_is_compared(name: str) -> None:
    before = {"tasks": {name: {"kind": "bright", "options": {name: 1}}}, "backbone": {"options": {name: 1}}}
    after = {"tasks": {name: {"kind": "other", "options": {name: 2}}}, "backbone": {"options": {name: 2}}}
    expected = ["backbone.options", f"tasks.{name}.kind", f"tasks.{name}.options"]
    assert [key.removesuffix(f".{name}") for key in changed_keys(before, after)] == expected


def test_free_keys_are_free_where_they_belong() -> None:
    def tree(value: int) -> dict[str, object]:
        task = {"workers": value, "tta": {"hflip": value}}
        train = {"device": value, "save_every": value}
        return {"score": value, "tasks": {"a": task}, "train": train}

    assert not list(changed_keys(tree(1), tree(2)))


@pytest.mark.parametrize(
    "content", [bytes(range(256)), b"a: !!python/object/apply:os.system ['true']", b"a: " + b"[" * 3000, b"- 1\n"]
)
def test_saved_recipe_that_cannot_be_read_is_named(content: bytes, launch: Launch) -> None:
    run = launch("a", "train.save_every=3", stop=5)
    (run.directory / "recipe.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        launch("a", "train.save_every=3", resume=True)


def test_saved_recipe_that_is_gone_is_missed(launch: Launch) -> None:
    run = launch("a", "train.save_every=3", stop=5)
    Path(run.directory / "recipe.yaml").unlink()
    with pytest.raises(CheckpointError, match=r"recipe\.yaml: is gone"):
        launch("a", "train.save_every=3", "optim.lr=0.5", resume=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("steps_done", value) for value in ("x", -5, 10**30, 2)),
        *(("best", value) for value in ([], {"score": "x"}, {"score": []}, {"score": [0.5, "../../x"]})),
        *(("bad_samples", value) for value in ([[1]], {"a": 1}, [["first", "x", "reason"]])),
        *((key, value) for key in ("guard", "early_stop", "images_a_step") for value in (5, "x")),
        ("guard", {}), ("early_stop", {}), ("minutes", "x"), ("minutes", None),
    ],
)  # fmt: skip
def test_forged_state_is_an_error_of_ours(key: str, value: object, launch: Launch) -> None:
    run = launch("a", "train.save_every=3", stop=5)
    folder = run.checkpoints / "step-00000003"
    state = json.loads((folder / "state.json").read_text()) | {key: value}
    forge(folder, "state.json", json.dumps(state).encode())
    with pytest.raises(CheckpointError, match="step-00000003: its state is not one that umbel writes"):
        launch("a", "train.save_every=3", resume=True)


@pytest.mark.parametrize("what", ["lacks the state", "has state of another shape"])
def test_optimizer_of_another_model_is_refused(what: str, launch: Launch) -> None:
    run = launch("a", "train.save_every=3", stop=5)
    folder = run.checkpoints / "step-00000003"
    tensors = load_file(folder / "optimizer.safetensors")
    first = sorted(tensors)[0].rpartition("/")[0]
    changed = {name: torch.ones(3, 1, 7) for name in tensors if name.startswith(f"{first}/exp_avg")}
    if what == "lacks the state":
        changed, tensors = {}, {name: value for name, value in tensors.items() if not name.startswith(f"{first}/")}
    forge(folder, "optimizer.safetensors", serialize(tensors | changed))
    with pytest.raises(CheckpointError, match=f"the optimizer {what} of {first}"):
        launch("a", "train.save_every=3", resume=True)
