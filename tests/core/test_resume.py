"""Going on is refused where the recipe has changed, and where nobody can tell whether it has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from umbel.errors import CheckpointError, ConfigError
from umbel.resume import changed_keys
from umbel.run import Run

Launch = Callable[..., Run]


@pytest.mark.parametrize("name", ["score", "device", "timeout", "workers", "batch_size", "deepspeed"])
def test_a_task_or_an_option_called_like_a_free_key_is_compared(name: str) -> None:
    before = {"tasks": {name: {"kind": "bright", "options": {name: 1}}}, "backbone": {"options": {name: 1}}}
    after = {"tasks": {name: {"kind": "other", "options": {name: 2}}}, "backbone": {"options": {name: 2}}}
    expected = ["backbone.options", f"tasks.{name}.kind", f"tasks.{name}.options"]
    assert [key.removesuffix(f".{name}") for key in changed_keys(before, after)] == expected


def test_free_keys_are_free_where_they_belong() -> None:
    def tree(value: int) -> dict[str, object]:
        task = {"workers": value, "batch_size": value, "tta": {"hflip": value}}
        train = {"device": value, "save_every": value, "accumulate": value}
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
