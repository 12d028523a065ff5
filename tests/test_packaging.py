"""What pyproject.toml says is what the tree holds."""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from layers import public_homes

import umbel

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text())
    return content


def test_every_package_is_listed(project, repository):
    folders = project["tool"]["setuptools"]["package-dir"]
    found = set()
    for package, folder in folders.items():
        for init in (repository / folder).rglob("__init__.py"):
            found.add(".".join([package, *init.parent.relative_to(repository / folder).parts]))
    assert sorted(project["tool"]["setuptools"]["packages"]) == sorted(found)


def test_every_module_is_in_a_package(project, repository):
    for folder in project["tool"]["setuptools"]["package-dir"].values():
        for path in (repository / folder).rglob("*.py"):
            assert (path.parent / "__init__.py").is_file(), path


@pytest.mark.parametrize("name", ["tasks", "backbones", "recipes"])
def test_sub_packages_do_not_hide_one_another(name, repository):
    assert not (repository / "core" / name).exists()
    assert not (repository / "core" / f"{name}.py").exists()


def test_entry_points_can_be_imported_and_have_hooks(project):
    for name, target in project["project"]["entry-points"]["umbel.v1"].items():
        module = importlib.import_module(target)
        assert any(attribute.startswith("umbel_") for attribute in vars(module)), name


def test_entry_points_offer_what_they_name(project):
    for target in project["project"]["entry-points"]["umbel.v1"].values():
        module = importlib.import_module(target)
        for hook in ("umbel_tasks", "umbel_backbones"):
            for value in getattr(module, hook, dict)().values():
                if isinstance(value, str):
                    home, _, name = value.partition(":")
                    assert hasattr(importlib.import_module(home), name), value


def test_command_can_be_imported(project):
    module, _, function = project["project"]["scripts"]["umbel"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_version_is_said_once(project):
    assert project["project"]["version"] == umbel.__version__
    assert metadata.version("umbel") == umbel.__version__


def test_every_public_name_exists():
    for name in umbel.__all__:
        assert getattr(umbel, name) is not None
    assert set(umbel.__all__) <= set(dir(umbel))
    with pytest.raises(AttributeError, match="nonsense"):
        umbel.nonsense  # noqa: B018


def test_public_names_are_those_of_the_one_list(repository):
    assert set(umbel.__all__) == set(public_homes(repository))
    assert "__version__" in umbel.__all__


def test_package_data_is_there(project, repository):
    for package, patterns in project["tool"]["setuptools"]["package-data"].items():
        folder = repository / project["tool"]["setuptools"]["package-dir"][package]
        for pattern in patterns:
            assert list(folder.glob(pattern)), f"{package}: {pattern}"
