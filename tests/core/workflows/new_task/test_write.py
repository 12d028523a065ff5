"""`umbel new-task` writes whole plugins: what is in them, and what it refuses to write."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from umbel.cli import main
from umbel.contract.errors import ConfigError
from umbel.recipes.streets.dataset import Counts, render_dataset
from umbel.workflows.new_task.write import KINDS, check_name, write_plugin

FOLDERS = {"boxes": "det", "dense": "seg", "image": "det"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_is_complete(kind: str, tmp_path: Path) -> None:
    written = write_plugin("lane_lines", kind, tmp_path)
    folder = tmp_path / "umbel-lane-lines"
    assert {str(path.relative_to(folder)) for path in written} == {
        "README.md",
        "pyproject.toml",
        "recipe.yaml",
        "tests/test_lane_lines.py",
        "umbel_lane_lines/__init__.py",
        "umbel_lane_lines/task.py",
    }
    for path in written:
        text = path.read_text()
        assert "@" not in text.replace("@dataclass", "").replace("@hookimpl", ""), path
        assert len(text.splitlines()) <= 200
        if path.suffix == ".py":
            ast.parse(text)
    assert 'lane_lines = "umbel_lane_lines"' in (folder / "pyproject.toml").read_text()
    assert "kind: lane_lines" in (folder / "recipe.yaml").read_text()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "umbel-thing").mkdir()
    (tmp_path / "umbel-thing" / "mine").write_text("precious")
    with pytest.raises(ConfigError, match="umbel-thing: exists already"):
        write_plugin("thing", "image", tmp_path)
    assert [path.name for path in (tmp_path / "umbel-thing").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "name", ["", "Lane", "3d", "lane-lines", "../up", "a b", "lane_", "x" * 41, "ä", "a.b", "--kind"]
)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a task"):
        check_name(name)


@pytest.mark.parametrize("name", ["train", "keys", "float"])
def test_names_that_a_recipe_cannot_write_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="reserved word"):
        check_name(name)


def test_the_command_says_its_errors_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["new-task", "thing", "--kind", "dense"])
    assert Path(capsys.readouterr().out.splitlines()[0]).is_file()
    for arguments in (["thing"], ["Bad Name"], ["train"]):
        with pytest.raises(SystemExit) as caught:
            main(["new-task", *arguments])
        assert caught.value.code == 2
        said = capsys.readouterr().err
        assert said.startswith("umbel: error: ")
        assert len(said.splitlines()) == 1
    with pytest.raises(SystemExit) as caught:
        main(["new-task", "other", "--kind", "sound"])
    assert caught.value.code == 2


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment that sees this one's packages, as one with umbel installed would."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    seen = [path for path in sys.path if path.endswith("site-packages")]
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "seen.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in seen))
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("streets")
    render_dataset(root, seed=1, counts=Counts(4, 2, 2, 2, 4, 2))
    return root


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_plugin_installs_keeps_the_contract_and_trains(kind: str, fresh: Path, streets: Path, tmp_path: Path) -> None:
    name = f"thing_{kind}"
    folder = tmp_path / f"umbel-thing-{kind}"
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "UMBEL_PLUGINS")}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    write_plugin(name, kind, tmp_path)
    pip = [sys.executable, "-m", "pip", "--python", str(fresh), "install", "--quiet", "--no-deps"]
    run(*pip, "--no-build-isolation", "--disable-pip-version-check", str(folder))
    assert name in run(str(fresh), "-m", "umbel", "plugins")
    out = run(str(fresh), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", str(folder))
    assert "passed" in out
    assert "failed" not in out
    small = ["train.steps=2", "train.precision=fp32", f"tasks.{name}.batch_size=2"]
    small.append(f"tasks.{name}.options.root={streets / FOLDERS[kind]}")
    recipe = str(folder / "recipe.yaml")
    assert f"{name}/" in run(str(fresh), "-m", "umbel", "train", recipe, *small, "--out", "run")
