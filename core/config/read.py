"""Reading a recipe: YAML, its parents and overrides as one tree, not yet held against the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from umbel.config.merge import merge, one_line
from umbel.config.targets import check_target
from umbel.config.yaml_rules import MAX_BYTES, check_tree, check_yaml
from umbel.contract.errors import ConfigError
from umbel.registry.plugins import Plugins


def find_recipe(name: str, plugins: Plugins) -> Path:
    """The file of a recipe given by path or by registered name."""
    path = Path(name)
    if path.is_file():
        return path
    check_target(name, plugins, run=False, recipe=True)
    if path.exists() and not path.is_dir():  # a folder may be called like a named recipe
        raise ConfigError("is no file that can be read", where=name, hint="give a YAML file or a named recipe")
    return Path(plugins.find("recipe", name, "").target)


def read_tree(name: str, plugins: Plugins) -> DictConfig:
    """A recipe file or named recipe with its parents merged in, unchecked: it may be a part of a recipe."""
    try:
        return _read_with_parents(find_recipe(name, plugins), plugins, ())
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error), where=name) from None


def read_with_overrides(path: Path, overrides: Sequence[str], plugins: Plugins) -> DictConfig:
    tree = _read_with_parents(path, plugins, ())
    return merge(tree, parse_overrides(overrides), str(path))


def content_tree(content: Mapping[str, Any]) -> DictConfig:
    """The tree of a recipe given as plain containers, checked as a file's is."""
    try:
        tree = OmegaConf.create(dict(content))
        check_tree(tree, "recipe")
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error), where="recipe") from None
    return tree


def parse_overrides(overrides: Sequence[str]) -> DictConfig:
    """The tree that "a.b=c" strings stand for, interpolations unresolved."""
    for override in overrides:
        if "=" not in override or override.startswith("="):
            raise ConfigError(f"override '{override}' is not of the form key=value", hint="for example train.steps=100")
    try:
        tree = OmegaConf.from_dotlist(list(overrides))
    except Exception as error:
        raise ConfigError(f"cannot read the overrides: {one_line(error)}") from None
    check_tree(tree, "overrides")
    return tree


def _read_with_parents(path: Path, plugins: Plugins, children: tuple[Path, ...]) -> DictConfig:
    if path.resolve() in children:
        raise ConfigError("the recipe inherits from itself", where=f"{path}: defaults")
    tree = _read(path)
    parents = tree.pop("defaults", None)
    if parents is None:
        return tree
    merged = OmegaConf.create()
    for parent in parents if isinstance(parents, ListConfig) else [parents]:
        if not isinstance(parent, str):
            raise ConfigError(f"must be a recipe or a list of recipes, not {parent!r}", where=f"{path}: defaults")
        beside = path.parent / parent
        file = beside if beside.is_file() else find_recipe(parent, plugins)
        merged = merge(merged, _read_with_parents(file, plugins, (*children, path.resolve())), str(file))
    return merge(merged, tree, str(path))


def _read(path: Path) -> DictConfig:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"is larger than {MAX_BYTES:,} bytes; a recipe is not", where=str(path))
        text = path.read_text(encoding="utf-8")
        check_yaml(text, str(path))
        tree = OmegaConf.create(text) if text.strip() else OmegaConf.create()
    except ConfigError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read: {error}", where=str(path)) from None
    except Exception as error:  # the YAML library raises many kinds
        raise ConfigError(f"is not valid YAML: {one_line(error)}", where=str(path)) from None
    if not isinstance(tree, DictConfig):
        raise ConfigError("must be a mapping with the keys tasks, backbone, optim, train", where=str(path))
    check_tree(tree, str(path))
    return tree
