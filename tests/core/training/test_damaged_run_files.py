"""Every key of every file of a run, missing or of another type: a named error for whoever needs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from forgery import forge
from toys import TOY_RECIPE, ToyPlugin

from umbel.checkpoint.manifest import own_checksum
from umbel.config.load import load_recipe
from umbel.contract.errors import CheckpointError, DataError, UmbelError
from umbel.evaluate.evaluate import read_scores
from umbel.predict.load import open_trained
from umbel.registry.plugins import Plugin, Plugins
from umbel.report.write import write_comparison, write_report
from umbel.training.observers import register_observers
from umbel.training.prepare import prepare
from umbel.training.session import train

WRONG: list[Any] = [None, "x", 5, -1, 10**400, [], {}, [[]], [None], {"x": None}, {"first": [1]}, True, 0.5]
TEXTS = [b"", b"{", b"null", b"[]", b"5", b'"x"', b"NaN", b"[" * 100_000, b"\xff\xfe", b"{}"]
GONE = object()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    _go(folder, resume=False)
    return folder


def _plugins() -> Plugins:
    plugins = Plugins()
    plugins.register(ToyPlugin(), Plugin("toys", "1", "toys"))
    return plugins


def _go(folder: Path, *, resume: bool) -> None:
    plugins = _plugins()
    (folder / "toy.yaml").write_text(TOY_RECIPE)
    settings = ["train.steps=2", "train.eval_every=1", "train.ema_decay=0.9"]
    loaded = load_recipe(str(folder / "toy.yaml"), settings, plugins)
    run = prepare(loaded, folder / "run")
    register_observers(plugins, quiet=True)
    train(run, resume=resume, exact=True)


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Iterator[Path]:
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    yield copy
    shutil.rmtree(copy)


def damaged(content: Any, at_top: bool = True) -> Iterator[tuple[str, Any]]:
    """Every key of a JSON object, and of those in it, once gone and once of each wrong type."""
    for key, value in content.items():
        yield f"{key} gone", {other: content[other] for other in content if other != key}
        for wrong in WRONG:
            yield f"{key} {wrong!r:.20}", {**content, key: wrong}
        if at_top and isinstance(value, dict):
            yield from ((f"{key}.{name}", {**content, key: inner}) for name, inner in damaged(value, at_top=False))


def opens(action: Callable[[], object], what: str) -> None:
    try:
        action()
    except (CheckpointError, DataError):
        pass
    except UmbelError as error:
        pytest.fail(f"{what}: {type(error).__name__}: {error}")


def open_run(folder: Path) -> None:
    open_trained(str(folder / "run"), (), "step-00000002", _plugins())


def test_state_of_a_checkpoint(folder: Path) -> None:
    checkpoint = folder / "run/checkpoints/step-00000002"
    state = json.loads((checkpoint / "state.json").read_text())
    for key in state:
        forge(checkpoint, "state.json", json.dumps({other: state[other] for other in state if other != key}).encode())
        opens(lambda: open_run(folder), f"{key} gone")
    for _, content in damaged({"precision": "fp32"}):
        forge(checkpoint, "state.json", json.dumps({**state, "precision": None, **content}).encode())
        with pytest.raises(CheckpointError, match=f"{checkpoint}: says precision"):
            open_run(folder)
    for text in TEXTS:
        forge(checkpoint, "state.json", text)
        with pytest.raises(CheckpointError):
            open_run(folder)


@pytest.mark.slow  # it prepares a run for every fault
def test_state_of_a_checkpoint_to_go_on_from(folder: Path) -> None:
    checkpoint = folder / "run/checkpoints/step-00000002"
    state = json.loads((checkpoint / "state.json").read_text())
    for what, content in damaged(state):
        forge(checkpoint, "state.json", json.dumps(content).encode())
        opens(lambda: _go(folder, resume=True), what)


def test_manifest_of_a_checkpoint(folder: Path) -> None:
    path = folder / "run/checkpoints/step-00000002/manifest.json"
    manifest = json.loads(path.read_text())
    for what, content in damaged(manifest, at_top=False):
        if isinstance(content.get("sha256"), str):
            content["sha256"] = own_checksum(content)
        path.write_text(json.dumps(content))
        opens(lambda: open_run(folder), what)
    for text in TEXTS:
        path.write_bytes(text)
        with pytest.raises(CheckpointError):
            open_run(folder)


@pytest.mark.parametrize("name", ["report.json", "metrics.jsonl"])
def test_what_a_report_is_made_of(name: str, folder: Path) -> None:
    path = folder / "run" / name
    first, *rest = path.read_text().splitlines() if name == "metrics.jsonl" else [path.read_text()]
    for what, content in damaged(json.loads(first)):
        path.write_text("\n".join([json.dumps(content), *rest]))
        opens(lambda: write_report(folder / "run"), what)
    for text in TEXTS:
        path.write_bytes(text)
        opens(lambda: write_report(folder / "run"), repr(text[:20]))
        opens(lambda: write_comparison([folder / "run"] * 2, folder / "two.html"), repr(text[:20]))


def test_scores(folder: Path) -> None:
    path = folder / "run/scores.json"
    assert read_scores(path)["score"] > 0
    for wrong in (wrong for wrong in WRONG if wrong is not None and not (type(wrong) in (int, float) and wrong < 1e9)):
        path.write_text(json.dumps({"score": wrong}))
        with pytest.raises(DataError, match=r"scores\.json: is not a file of scores"):
            read_scores(path)
    for text in TEXTS[:-1]:
        path.write_bytes(text)
        with pytest.raises(DataError):
            read_scores(path)


@pytest.mark.parametrize("name", ["plugins.json", "bad_samples.json", "scores.json", "metrics.jsonl", "report.json"])
def test_what_only_people_read_does_not_stop_a_run(name: str, folder: Path) -> None:
    for text in (b"", b"\xff", b"[]", b"5\n"):
        (folder / "run" / name).write_bytes(text)
        open_run(folder)
    _go(folder, resume=True)
