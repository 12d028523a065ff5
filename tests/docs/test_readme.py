"""Everything the README shows is run, on small pictures and for one step."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from umbel import write_image
from umbel.cli import main
from umbel.recipes.streets.dataset import Counts, render_dataset

SMALL = """
defaults: readme.yaml
backbone: {options: {model: convnext_atto, weights: null}}
tasks:
  road: {batch_size: 2, input_size: [64, 96], options: {width: 16, aux_width: 8}}
  cars: {batch_size: 2, input_size: [64, 64], options: {mid_channels: 16}}
  signs: {batch_size: 2, input_size: [64, 96], options: {neck_channels: [8, 8, 8], depth_mult: 0.33}}
train: {steps: 1, precision: fp32}
"""


def blocks(text: str, language: str) -> list[str]:
    """Fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def workplace(readme: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the README's reader has it: data, photos and the recipe, made small."""
    folder = tmp_path_factory.mktemp("readme")
    render_dataset(folder / "rendered", seed=1, counts=Counts(3, 1, 6, 6, 3, 2))
    for source, name in (("seg", "streets"), ("cls", "cars"), ("det", "signs")):
        (folder / "data").mkdir(exist_ok=True)
        (folder / "rendered" / source).rename(folder / "data" / name)
    write_image(folder / "photos" / "one.jpg", np.full((70, 90, 3), 120, np.uint8))
    (folder / "readme.yaml").write_text(blocks(readme, "yaml")[0])
    (folder / "recipe.yaml").write_text(SMALL)
    return folder


def test_commands_and_python_run_as_shown(
    readme: str, workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workplace)
    lines = "\n".join(blocks(readme, "sh")).replace("train.steps=500", "train.steps=1").splitlines()
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("umbel ")]
    assert {command[1] for command in commands} == {"check", "train", "report", "evaluate", "predict"}
    for command in commands:
        main(command[1:])
    out = capsys.readouterr().out
    assert "road/miou" in out
    assert (workplace / "predictions" / "signs" / "one.jpg").is_file()
    (python,) = blocks(readme, "python")
    names: dict[str, object] = {"path": workplace / "photos" / "one.jpg"}
    exec(compile(python.replace("train.steps=500", "train.steps=1"), "README.md", "exec"), names)
    assert set(names["predictions"]) == {"signs"}  # type: ignore[call-overload]


def test_inline_commands_run(readme: str, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workplace)
    inline = [shlex.split(text) for text in re.findall(r"`(umbel (?:plugins|show)[^`]*)`", readme)]
    assert len(inline) >= 3
    for command in inline:
        main(command[1:])


def test_make_targets_exist(readme: str, repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    targets = set(re.findall(r"make ([a-z-]+)", "\n".join(blocks(readme, "sh"))))
    assert targets == {"demo", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_links_lead_somewhere(repository: Path) -> None:
    for page in [*repository.glob("*.md"), *repository.glob("docs/*.md")]:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
