"""A task nobody would ship, from training to predicted pictures: core knows nothing of what it does."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from umbel.config.loaded_recipe import LoadedRecipe
from umbel.contract.errors import CheckpointError, ConfigError, DataError
from umbel.data.datasets import load_datasets
from umbel.evaluate.evaluate import evaluate
from umbel.io.images import read_image, write_image
from umbel.io.run_folder import RECIPE_FILE
from umbel.predict import load
from umbel.predict.files import picture_stems, predict_files
from umbel.predict.load import open_trained, resolve_checkpoint, select_tasks
from umbel.predict.predictor import Predictor
from umbel.registry.plugins import Plugins
from umbel.training.run import Run

Launch = Callable[..., Run]
NewPlugins = Callable[[], Plugins]


@pytest.mark.parametrize("ema", ["0.0", "0.8"])
def test_nonsense_task_trains_resumes_and_is_evaluated_as_it_was_in_training(
    launch: Launch, new_plugins: NewPlugins, ema: str
) -> None:
    launch("a", "train.save_every=4", f"train.ema_decay={ema}", stop=6)
    run = launch("a", "train.save_every=4", f"train.ema_decay={ema}", resume=True)
    expected = json.loads((run.directory / "scores.json").read_text())
    recipe, tasks, runtime = open_trained(str(run.directory), (), "latest", new_plugins())
    scores = evaluate(runtime, tasks, load_datasets(tasks, "val"), recipe.score)
    assert scores == pytest.approx(expected, abs=1e-6)
    changed, tasks, runtime = open_trained(str(run.directory), ("score=first * 0",), "step-00000012", new_plugins())
    assert evaluate(runtime, tasks, load_datasets(tasks, "val"), changed.score)["score"] == 0


def test_recipe_can_be_evaluated_with_the_weights_of_a_run(
    launch: Launch, new_plugins: NewPlugins, recipe_file: Path
) -> None:
    run = launch("a")
    for checkpoint in (run.directory, run.checkpoints / "step-00000012"):
        recipe, tasks, runtime = open_trained(str(recipe_file), (), str(checkpoint), new_plugins())
        scores = evaluate(runtime, tasks, load_datasets(tasks, "val"), recipe.score)
        assert scores == pytest.approx(json.loads((run.directory / "scores.json").read_text()), abs=1e-6)
    with pytest.raises(ConfigError, match="--checkpoint: no checkpoint folder 'latest'"):
        open_trained(str(recipe_file), (), "latest", new_plugins())


def test_opening_and_predicting_make_no_optimizer_and_change_no_recipe(
    launch: Launch, new_plugins: NewPlugins, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch("a", "train.steps=2", "train.ema_decay=0.9")
    stored = (run.directory / RECIPE_FILE).read_bytes()
    made: list[torch.optim.Optimizer] = []
    loaded: list[tuple[LoadedRecipe, tuple[Any, Any]]] = []
    init, load_recipe = torch.optim.Optimizer.__init__, load.load_recipe

    def counted(self: torch.optim.Optimizer, *given: Any, **named: Any) -> None:
        made.append(self)
        init(self, *given, **named)

    def kept(*given: Any) -> LoadedRecipe:
        opened = load_recipe(*given)
        loaded.append((opened, copy.deepcopy((opened.typed, opened.tree))))
        return opened

    monkeypatch.setattr(torch.optim.Optimizer, "__init__", counted)
    monkeypatch.setattr(load, "load_recipe", kept)
    recipe, tasks, runtime = open_trained(str(run.directory), (), "latest", new_plugins())
    evaluate(runtime, tasks, load_datasets(tasks, "val"), recipe.score)
    (result,) = Predictor(runtime, tasks).predict([np.zeros((16, 16, 3), np.uint8)], [""])
    assert set(result) == set(tasks)
    assert made == []
    ((opened, before),) = loaded
    assert recipe is opened.typed
    assert (opened.typed, opened.tree) == before
    assert recipe.train.ema_decay == 0.9
    assert (run.directory / RECIPE_FILE).read_bytes() == stored
    torch.optim.SGD([torch.zeros(1)])
    assert len(made) == 1  # an optimizer would have been seen


def test_nonsense_task_predicts_files(launch: Launch, new_plugins: NewPlugins, tmp_path: Path) -> None:
    run = launch("a", "train.steps=3")
    generator = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for name in ("b.png", "a.png"):
        write_image(folder / name, generator.integers(0, 255, (16, 16, 3)).astype(np.uint8))
    write_image(tmp_path / "a.png", generator.integers(0, 255, (16, 16, 3)).astype(np.uint8))
    (folder / "notes.txt").write_text("no image")
    _, tasks, runtime = open_trained(str(run.directory), (), "latest", new_plugins())
    out = tmp_path / "out"
    chosen = select_tasks(tasks, ["second"])
    written = predict_files(Predictor(runtime, chosen), [folder, tmp_path / "a.png", folder / "b.png"], out).written
    assert [str(path.relative_to(out)) for path in written] == [
        "second/a-1.jpg", "second/b.jpg", "second/a-2.jpg", "second.json"
    ]  # fmt: skip
    assert sorted(str(path.relative_to(out)) for path in out.rglob("[!.]*.*")) == sorted(
        str(path.relative_to(out)) for path in written
    )
    results = json.loads((out / "second.json").read_text())
    assert list(results) == [str(folder / "a.png"), str(folder / "b.png"), str(tmp_path / "a.png")]
    assert len(set(results.values())) == 3
    assert read_image(out / "second" / "b.jpg").shape == (16, 16, 3)


def test_paths_that_cannot_be_predicted_are_named(launch: Launch, new_plugins: NewPlugins, tmp_path: Path) -> None:
    run = launch("a", "train.steps=1")
    _, tasks, runtime = open_trained(str(run.directory), (), "latest", new_plugins())
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.jpg").write_text("not an image")
    for path, message in (("gone.jpg", "no such file"), ("empty", "holds no images"), ("words.jpg", "words.jpg")):
        with pytest.raises(DataError, match=message):
            predict_files(Predictor(runtime, tasks), [tmp_path / path], tmp_path / "out")
    with pytest.raises(ConfigError, match=r"no task 'third' \(the run has first, second\)"):
        select_tasks(tasks, ["third"])


def test_no_two_pictures_share_a_name() -> None:
    names = ["x/a.jpg", "y/a.jpg", "z/a-1.jpg", "A.png", "b.png", "c/b-1.png", "c/a-2.png"]
    stems = picture_stems([Path(name) for name in names])
    assert len({stem.lower() for stem in stems.values()}) == len(names)
    assert stems[Path("b.png")] == "b"
    assert stems[Path("z/a-1.jpg")] == "a-1"


def test_checkpoints_are_found_by_name_in_the_run_before_any_folder(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = launch("a", "train.save_every=5")
    (tmp_path / "best").mkdir()
    (tmp_path / "latest").mkdir()
    monkeypatch.chdir(tmp_path)
    for name, step in (("best", 12), ("latest", 12), ("best-first", 12), ("step-00000010", 10)):
        assert resolve_checkpoint(run.directory, name).step == step
    known = r"there are latest, best, best-first, best-second, step-00000012, step-00000010"
    with pytest.raises(CheckpointError, match=rf"there is no checkpoint 'worst' \({known}"):
        resolve_checkpoint(run.directory, "worst")


def test_checkpoint_of_a_run_may_be_given_by_path(
    launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = launch("a", "train.steps=1"), launch("b", "train.steps=2")
    monkeypatch.chdir(other.directory.parent)
    folder = other.checkpoints / "step-00000002"
    for path in (other.directory, Path(other.directory.name), folder, folder.relative_to(Path.cwd())):
        assert resolve_checkpoint(run.directory, str(path)).step == 2
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        resolve_checkpoint(run.directory, str(folder / "model.safetensors"))


def test_folder_that_is_no_run_is_named(new_plugins: NewPlugins, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"is not a run: it has no recipe\.yaml"):
        open_trained(str(tmp_path), (), "latest", new_plugins())
