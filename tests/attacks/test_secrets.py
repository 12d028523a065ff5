"""What the environment holds stays out of everything that a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner
from toys import TOY_RECIPE, BrightDataset, BrightTask, ToyPlugin

from umbel import DataError, Sample, hookimpl, option
from umbel.cli.show import show
from umbel.config.load import load_recipe
from umbel.contract.reporter import Reporter
from umbel.registry.plugins import Plugin, Plugins
from umbel.training.observers.jsonl import JsonlObserver
from umbel.training.observers.report import ReportObserver
from umbel.training.observers.tensorboard import TensorBoardObserver
from umbel.training.prepare import prepare
from umbel.training.session import train
from umbel.workflows.report import rebuild_figures

CANARY = "canary-6f1b0c2e-secret"


@dataclass
class SecretOptions:
    count: int = option(12, "images")
    threshold: int = option(128, "what is bright, 0..255")
    token: str = option("", "to fetch the images with")


class SecretTask(BrightTask):
    Options = SecretOptions


class SecretPlugin:
    @hookimpl
    def umbel_tasks(self) -> dict[str, type[BrightTask]]:
        return {"secret": SecretTask}


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UMBEL_TEST_TOKEN", CANARY)
    extra = """
  third:
    kind: secret
    batch_size: 2
    input_size: [16, 16]
    options: {token: "${oc.env:UMBEL_TEST_TOKEN}"}
"""
    head, mark, tail = TOY_RECIPE.partition("\ntasks:\n")
    assert mark
    path = tmp_path / "secret.yaml"
    path.write_text(head + mark.rstrip("\n") + extra + tail)
    return path


def registry() -> Plugins:
    plugins = Plugins()
    plugins.register(ToyPlugin(), Plugin("toys", "1", "toys"))
    plugins.register(SecretPlugin(), Plugin("secrets", "1", "secrets"))
    return plugins


def test_run_folder_does_not_hold_the_secret(recipe: Path, tmp_path: Path) -> None:
    plugins = registry()
    loaded = load_recipe(str(recipe), ["train.save_every=2", "train.eval_every=4"], plugins)
    typed = loaded.typed
    assert typed.tasks["third"].options.token == CANARY  # the task itself gets it
    run = prepare(loaded, tmp_path / "out")
    for name, observer in (("jsonl", JsonlObserver()), ("tensorboard", TensorBoardObserver())):
        plugins.register(observer, Plugin("umbel", "0", name))
    train(run)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {"recipe.yaml", "scores.json", "metrics.jsonl", "plugins.json"} <= {path.name for path in files}
    assert any(path.suffix == ".safetensors" for path in files)
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
    assert "${oc.env:UMBEL_TEST_TOKEN}" in (tmp_path / "out/recipe.yaml").read_text()


def test_show_prints_it_as_written(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plugins, "discover", classmethod(lambda cls: registry()))
    result = CliRunner().invoke(show, [str(recipe)])
    assert result.exit_code == 0, result.output
    assert CANARY not in result.output
    assert "${oc.env:UMBEL_TEST_TOKEN}" in result.output
    assert "threshold: 128" in result.output


@pytest.mark.parametrize("budget", [0, 3])
def test_error_that_tells_the_secret_leaves_it_out_of_the_run_folder(
    budget: int, recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = BrightDataset.__getitem__

    def fetch(self: BrightDataset, index: int) -> Sample:
        if "third" in self.name and index == 1:
            raise ConnectionError(f"https://example.org/1.jpg?token={CANARY} refused")
        return read(self, index)

    plugins = registry()
    plugins.register(ReportObserver(), Plugin("umbel", "0", "report"))
    settings = [f"train.bad_samples={budget}", "train.save_every=2"]
    loaded = load_recipe(str(recipe), settings, plugins)
    run = prepare(loaded, tmp_path / "out")
    monkeypatch.setattr(BrightDataset, "__getitem__", fetch)
    with pytest.raises(DataError, match=CANARY):  # the terminal is told; an evaluation replaces no sample
        train(run)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {"report.json", "report.html", *(["bad_samples.json"] if budget else [])} <= {path.name for path in files}
    assert [path for path in files if CANARY.encode() in path.read_bytes()] == []
    assert "token=${oc.env:UMBEL_TEST_TOKEN} refused" in (tmp_path / "out/report.json").read_text()


def test_figures_made_again_leave_it_out_too(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def reporter(self: BrightTask) -> Reporter:
        asked.append(self.name)
        if len(asked) == 1:  # before the first step, where it would end the run
            return Reporter()
        raise ConnectionError(f"token={CANARY} refused")

    monkeypatch.setattr(SecretTask, "reporter", reporter, raising=False)
    monkeypatch.setattr(Plugins, "discover", classmethod(lambda cls: registry()))
    plugins = registry()
    plugins.register(ReportObserver(), Plugin("umbel", "0", "report"))
    loaded = load_recipe(str(recipe), ["train.save_every=2"], plugins)
    train(prepare(loaded, tmp_path / "out"))
    report = tmp_path / "out" / "report.json"
    trained = report.read_text()
    rebuild_figures(tmp_path / "out", "latest", registry())
    for text in (trained, report.read_text()):
        assert CANARY not in text
        assert "token=${oc.env:UMBEL_TEST_TOKEN} refused" in text
