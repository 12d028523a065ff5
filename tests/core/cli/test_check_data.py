"""umbel check --data, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from corpus.faults import FAULTS
from corpus.tree import Tree, write_tree

from umbel.cli.check import check

RECIPE = """
backbone: {name: timm, options: {model: resnet18}}
tasks:
  cars: {kind: classification, batch_size: 2, input_size: [32, 32], workers: 0, options: {root: ROOT/cls}}
  signs: {kind: detection, batch_size: 1, input_size: [32, 32], options: {root: ROOT/det}}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    found = write_tree(tmp_path / "data")
    (tmp_path / "r.yaml").write_text(RECIPE.replace("ROOT", str(found.root)))
    return found


@pytest.fixture
def run(tree: Tree, tmp_path: Path) -> Callable[..., Result]:
    def go(*arguments: str) -> Result:
        return CliRunner().invoke(check, [str(tmp_path / "r.yaml"), "--data", "--workers", "0", *arguments])

    return go


def test_sound_data(run: Callable[..., Result]) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert "0 errors, 0 warnings, 0 notes" in result.output


def test_findings_are_printed_and_written(run: Callable[..., Result], tree: Tree, tmp_path: Path) -> None:
    for name in ("jpeg_cut_in_half", "box_of_nan"):
        FAULTS[name].make(tree)
    before = tree.digest()
    result = run("--json", str(tmp_path / "report.json"))
    assert result.exit_code == 1
    assert tree.digest() == before
    assert f"error truncated [cars/train] {tree.image}: is truncated" in result.output
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["counts"] == {"error": 2}
    assert report["kinds"] == {"truncated": 1, "box-nan": 1}
    assert {found["file"] for found in report["findings"]} == {str(tree.image), str(tree.coco)}
    assert report == {
        **json.loads(run("--json", "-").output),
        **{k: report[k] for k in ("seconds", "images_per_second")},
    }


def test_names_of_files_do_nothing_to_the_terminal(run: Callable[..., Result], tree: Tree) -> None:
    (tree.image.parent / "\x1b[2J\u202e.jpg").write_bytes(b"")
    result = run()
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "\\x1b[2J\\u202e.jpg" in result.output


def test_nothing_to_read_is_3(run: Callable[..., Result], tree: Tree, tmp_path: Path) -> None:
    tree.root.rename(tmp_path / "elsewhere")
    result = run()
    assert result.exit_code == 3
    assert "no such folder" in result.output


def test_json_without_data_is_a_usage_error(tmp_path: Path, tree: Tree) -> None:
    result = CliRunner().invoke(check, [str(tmp_path / "r.yaml"), "--json", "x"])
    assert result.exit_code == 2
