"""A plugin needs umbel's public names, the built-in tasks' predictions, nothing of its inside; core knows none."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from layers import TASK_FACE

import umbel

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path for path in (ROOT / "plugins").glob("umbel-*") if path.is_dir())
TASKS = [
    path for path in FOLDERS if "umbel_tasks" in next(path.glob("umbel_*/__init__.py")).read_text(encoding="utf-8")
]
THIRD_PARTY = {"click", "cv2", "hypothesis", "mlflow", "numpy", "omegaconf", "pytest", "torch", "torchmetrics"}


def label(folder: Path) -> str:
    return folder.name


def imports(path: Path) -> set[tuple[str, str]]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "", alias.name) for alias in node.names}
    return found


def test_three_plugins_bring_tasks() -> None:
    assert len(TASKS) >= 3


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_a_plugin_imports_public_names_only(folder: Path) -> None:
    own = folder.name.replace("-", "_")
    for path in folder.rglob("*.py"):
        testing = "tests" in path.relative_to(folder).parts
        for module, name in imports(path):
            first = module.split(".")[0]
            if first == "umbel":
                public = module == "umbel" and (not name or name in umbel.__all__)
                public = public or re.fullmatch(TASK_FACE, module) is not None
                assert public or (testing and module == "umbel.testing"), f"{path.name} imports {module} {name}"
            else:
                known = first in THIRD_PARTY | {own} or first in sys.stdlib_module_names
                assert known, f"{path.name} imports {module}"
        used = re.findall(rf"\b(?!{TASK_FACE}\b)umbel\.([a-z_]+)", path.read_text(encoding="utf-8"))
        assert {name for name in used if name != "testing"} <= {*umbel.__all__, "v", "yaml"}, path


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_core_knows_no_plugin(folder: Path) -> None:
    kind, module = folder.name.removeprefix("umbel-"), folder.name.replace("-", "_")
    for path in (ROOT / "core").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert module not in text, path
        assert folder.name not in text, path
        assert not re.search(rf"[\"']{kind}[\"']", text), path


@pytest.mark.parametrize("folder", TASKS, ids=label)
def test_the_commit_that_added_a_plugin_left_core_alone(folder: Path) -> None:
    def git(*arguments: str) -> list[str]:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip("this is no git checkout")
        return done.stdout.split()

    path = f"plugins/{folder.name}/pyproject.toml"
    added = git("log", "--diff-filter=A", "--format=%H", "--", path)
    if not added:
        pytest.skip("the plugin is not committed yet")
    touched = git("show", "--name-only", "--format=", added[-1])
    assert path in touched
    assert not [name for name in touched if name.startswith("core/")]


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_importing_a_plugin_is_cheap(folder: Path) -> None:
    """What its entry point names is imported by every `umbel --help`."""
    module = folder.name.replace("-", "_")
    code = f"import sys, {module}; print([m for m in ('torch', 'cv2', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_depth_is_one_short_module() -> None:
    (module,) = [path for path in (ROOT / "plugins/umbel-depth/umbel_depth").glob("*.py") if path.stem != "__init__"]
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 160  # options, data, head, metric, task


@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_every_plugin_is_whole(folder: Path) -> None:
    assert (folder / "README.md").is_file()
    assert list((folder / "tests").glob("test_*.py"))
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"plugins/{folder.name}"' in text, "its folder is missing from pytest's pythonpath"
