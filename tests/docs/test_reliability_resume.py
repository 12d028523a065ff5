"""What docs/reliability.md shows is run, and what it names exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import TOY_RECIPE

from umbel import cli
from umbel.config.schema import TrainConfig


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "reliability.md").read_text(encoding="utf-8")


@pytest.fixture
def toys_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    site = tmp_path / "site"
    (site / "toy_tasks-1.0.dist-info").mkdir(parents=True)
    (site / "toy_tasks-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-tasks\nVersion: 1.0\n")
    (site / "toy_tasks-1.0.dist-info" / "entry_points.txt").write_text("[umbel.v1]\ntoys = toys_module\n")
    (site / "toys_module.py").write_text(
        "from umbel import hookimpl\n"
        "@hookimpl\ndef umbel_tasks():\n    return {'bright': 'toys:BrightTask'}\n"
        "@hookimpl\ndef umbel_backbones():\n    return {'tiny': 'toys:TinyBackbone'}\n"
    )
    return lambda: monkeypatch.syspath_prepend(str(site))


def test_commands_run_in_turn(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toys_installed: Callable[[], None]
) -> None:
    toys_installed()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe.yaml").write_text(TOY_RECIPE)
    lines = "\n".join(re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)).splitlines()
    assert len(lines) == 2
    for line in lines:
        cli.main(shlex.split(line)[1:])
    assert (tmp_path / "runs" / "mine" / "scores.json").is_file()


def test_tests_keys_and_defaults_are_those_there_are(page: str, repository: Path) -> None:
    for name in re.findall(r"`((?:tests|benchmarks)/[a-z_/]+\.py)`", page):
        assert (repository / name).is_file(), name
    rows = re.findall(r"^\| `train\.(\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert len(rows) >= 6
    for key, default in rows:
        assert str(getattr(TrainConfig(), key)).lower() == default
