"""Loading a recipe: YAML, its parents, overrides and each plugin's own options, merged into typed dataclasses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from umbel.config.deepspeed import check_block
from umbel.config.keys import suggest
from umbel.config.literals import literal
from umbel.config.loaded_recipe import LoadedRecipe
from umbel.config.schema import Recipe
from umbel.config.targets import check_target
from umbel.config.yaml_rules import MAX_BYTES, check_tree, check_yaml
from umbel.contract.errors import ConfigError
from umbel.contract.hooks import FIXED
from umbel.contract.task_config import TaskConfig
from umbel.registry.plugins import Plugins

_MERGE_ERRORS = (OmegaConfBaseException, TypeError, ValueError, AttributeError)  # a list into a mapping is a TypeError

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def load_recipe(name: str, overrides: Sequence[str], plugins: Plugins) -> LoadedRecipe:
    """Load a recipe file or a named recipe.

    Args:
        name: path of a YAML file, or a name that a plugin registers, such as "demo".
        overrides: "a.b=c" strings; "tasks.x=null" drops a task.
        plugins: where kinds and named recipes are looked up.

    Returns:
        The typed recipe, and the merged tree as written: interpolations are left unresolved in it, so that saving it
        keeps no secret from the environment.

    Raises:
        ConfigError: naming the file and the key.
    """
    path = find_recipe(name, plugins)
    try:
        tree = _with_overrides(path, overrides, plugins)
        return LoadedRecipe(typed=build_recipe(tree, plugins, str(path)), tree=tree, plugins=plugins)
    except OmegaConfBaseException as error:  # an interpolation that does not resolve, wherever it stands
        raise ConfigError(_one_line(error), where=str(path)) from None


def check_recipe(name: str, overrides: Sequence[str], plugins: Plugins) -> None:
    """Whether a recipe can be read, names kinds that there are, and has no wrong key or value but in the options of
    kinds, backbone and balancer: what can be known without importing them.

    Raises:
        ConfigError: naming the file and the key.
    """
    path = find_recipe(name, plugins)
    try:
        check_shell(_with_overrides(path, overrides, plugins), plugins, str(path))
    except OmegaConfBaseException as error:
        raise ConfigError(_one_line(error), where=str(path)) from None


def _with_overrides(path: Path, overrides: Sequence[str], plugins: Plugins) -> DictConfig:
    tree = _read_with_parents(path, plugins, ())
    return _merge(tree, parse_overrides(overrides), str(path))


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
        raise ConfigError(_one_line(error), where=name) from None


def content_tree(content: Mapping[str, Any]) -> DictConfig:
    """The tree of a recipe given as plain containers, checked as a file's is."""
    try:
        tree = OmegaConf.create(dict(content))
        check_tree(tree, "recipe")
    except OmegaConfBaseException as error:
        raise ConfigError(_one_line(error), where="recipe") from None
    return tree


def check_shell(tree: DictConfig, plugins: Plugins, source: str) -> None:
    """Check a merged tree as far as umbel's own schema goes; options of plugins are left alone.

    Raises:
        ConfigError: naming the key.
    """
    schema = OmegaConf.structured(Recipe)
    for task, config in _tasks(tree, source).items():
        plugins.find("task", str(config.kind), f"{source}: tasks.{task}.kind")
        schema.tasks[task] = OmegaConf.structured(TaskConfig)
    backbone = OmegaConf.select(tree, "backbone.name") or schema.backbone.name
    plugins.find("backbone", str(backbone), f"{source}: backbone.name")
    balancer = OmegaConf.select(tree, "train.balancer.name") or FIXED
    if balancer != FIXED:  # which is there without any plugin
        plugins.find("balancer", str(balancer), f"{source}: train.balancer.name")
    merged = _merge(schema, tree, source)
    for section in ("optim", "growth", *(f"tasks.{task}" for task in schema.tasks), "train"):
        if not OmegaConf.missing_keys(OmegaConf.select(merged, section)):
            _to_object(OmegaConf.select(merged, section), f"{source}: {section}")


def _tasks(tree: DictConfig, source: str) -> dict[str, DictConfig]:
    """The tasks of a tree, each of which names its kind."""
    tasks = tree.get("tasks") or {}
    if not isinstance(tasks, DictConfig) and tasks != {}:
        raise ConfigError(f"must map task names to tasks, not {type(tasks).__name__}", where=f"{source}: tasks")
    if not tasks:
        raise ConfigError("the recipe has no task", where=f"{source}: tasks", hint="add one: name: {kind: ...}")
    for task, config in ((str(name), config) for name, config in tasks.items()):
        check_task_form(task, f"{source}: tasks.{task}")
        if not isinstance(config, DictConfig) or OmegaConf.is_missing(config, "kind") or not config.get("kind"):
            raise ConfigError("missing value", where=f"{source}: tasks.{task}.kind", hint=_kind_hint(task, tasks))
    return {str(name): config for name, config in tasks.items()}


def _kind_hint(task: str, tasks: Mapping[Any, Any]) -> str:
    """A task without a kind may be another one's name, misspelt in an override."""
    others = [str(name) for name, other in tasks.items() if isinstance(other, DictConfig) and other.get("kind")]
    close = difflib.get_close_matches(task, others, n=1)
    return f"did you mean tasks.{close[0]}?" if close else "see `umbel plugins` for the kinds"


def build_recipe(tree: DictConfig, plugins: Plugins, source: str) -> Recipe:
    """Check a merged tree against the schema of umbel and of every plugin it uses, and make it typed."""
    check_shell(tree, plugins, source)
    schema = OmegaConf.structured(Recipe)
    origin = {}
    for task, config in _tasks(tree, source).items():
        key = f"tasks.{task}"
        check_task_name(task, f"{source}: {key}")
        offer = plugins.find("task", str(config.kind), f"{source}: {key}.kind")
        origin[task] = f"{config.kind} from {offer.plugin.distribution}"
        schema.tasks[task] = OmegaConf.structured(TaskConfig)
        schema.tasks[task].options = OmegaConf.structured(offer.load().Options)
    backbone = OmegaConf.select(tree, "backbone.name") or schema.backbone.name
    schema.backbone.options = OmegaConf.structured(
        plugins.backbone_class(str(backbone), f"{source}: backbone.name").Options
    )
    balancer = OmegaConf.select(tree, "train.balancer.name") or FIXED
    schema.train.balancer.options = OmegaConf.structured(
        plugins.balancer_class(str(balancer), f"{source}: train.balancer.name").Options
    )
    merged = _merge(schema, tree, source)
    missing = sorted(OmegaConf.missing_keys(merged))
    if missing:
        raise ConfigError(f"missing value{'s' * (len(missing) > 1)}: {', '.join(missing)}", where=source)
    for task in origin:
        key = f"tasks.{task}.options"
        _to_object(OmegaConf.select(merged, key), f"{source}: {key} ({origin[task]})")
        _to_object(OmegaConf.select(merged, f"tasks.{task}"), f"{source}: tasks.{task} ({origin[task]})")
    for section in (
        "backbone.options",
        "backbone",
        "optim",
        "train.balancer.options",
        "train.balancer",
        "train",
        "growth",
    ):
        _to_object(OmegaConf.select(merged, section), f"{source}: {section}")
    recipe: Recipe = _to_object(merged, source)
    _check_deepspeed(recipe, source)
    return recipe


def change_options(options: Any, changes: Mapping[str, Any], where: str) -> Any:
    """A copy of a task's typed options with some of them changed, checked as a recipe's are."""
    try:
        own = literal(asdict(options))
        merged = OmegaConf.merge(OmegaConf.structured(type(options)), own, literal(dict(changes)))
    except _MERGE_ERRORS as error:
        raise ConfigError(_one_line(error), where=where) from None
    return _to_object(merged, where)


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
        merged = _merge(merged, _read_with_parents(file, plugins, (*children, path.resolve())), str(file))
    return _merge(merged, tree, str(path))


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
        raise ConfigError(f"is not valid YAML: {_one_line(error)}", where=str(path)) from None
    if not isinstance(tree, DictConfig):
        raise ConfigError("must be a mapping with the keys tasks, backbone, optim, train", where=str(path))
    check_tree(tree, str(path))
    return tree


def parse_overrides(overrides: Sequence[str]) -> DictConfig:
    """The tree that "a.b=c" strings stand for, interpolations unresolved."""
    for override in overrides:
        if "=" not in override or override.startswith("="):
            raise ConfigError(f"override '{override}' is not of the form key=value", hint="for example train.steps=100")
    try:
        tree = OmegaConf.from_dotlist(list(overrides))
    except Exception as error:
        raise ConfigError(f"cannot read the overrides: {_one_line(error)}") from None
    check_tree(tree, "overrides")
    return tree


def _merge(base: DictConfig, change: DictConfig, source: str) -> DictConfig:
    try:
        merged = OmegaConf.merge(base, change)
    except _MERGE_ERRORS as error:
        key = "" if "full_key" in str(error) else ".".join(_faulty_key(base, OmegaConf.to_container(change)))
        said = _one_line(error)
        if "' not in 'Recipe'" in said:
            word = said.partition(":")[0]
            where = suggest(word, tuple(str(task) for task in change.get("tasks") or ()))
            said += f" (did you mean {where}?)" if where else f" (it has {', '.join(base)})"
        raise ConfigError(f"{key + ': ' if key else ''}{said}", where=source) from None
    assert isinstance(merged, DictConfig)
    tasks = merged._get_node("tasks")
    if isinstance(tasks, DictConfig) and not tasks._is_none() and not tasks._is_missing():
        known = [str(name) for name in base.get("tasks") or ()]
        for dropped in [key for key, task in tasks.items_ex(resolve=False) if task is None]:
            name = str(dropped)
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                raise ConfigError(
                    f"there is no task '{name}' to drop",
                    where=f"{source}: tasks.{name}",
                    hint=f"did you mean '{close[0]}'?" if close else f"tasks: {', '.join(known) or 'none'}",
                )
            del tasks[dropped]
    return merged


def _faulty_key(base: DictConfig, change: Any, path: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Where a change does not fit, for the errors of omegaconf that do not say."""
    for key, value in change.items():
        inner = (*path, str(key))
        nested = value
        for part in reversed(inner):
            nested = {part: nested}
        try:
            OmegaConf.merge(base, OmegaConf.create(nested))
        except _MERGE_ERRORS:
            return _faulty_key(base, value, inner) if isinstance(value, dict) else inner
    return path


def _to_object(config: Any, where: str) -> Any:
    if config is None:
        raise ConfigError("is null; expected a mapping", where=where, hint="leave it out for the defaults")
    try:
        return OmegaConf.to_object(config)
    except OmegaConfBaseException as error:
        raise ConfigError(_one_line(error), where=where) from None
    except (ValueError, TypeError) as error:
        raise ConfigError(str(error), where=where) from None


def _check_deepspeed(recipe: Recipe, source: str) -> None:
    try:
        check_block(recipe)
    except ConfigError as error:
        raise ConfigError(error.message, where=f"{source}: {error.where}", hint=error.hint) from None


def check_task_form(name: str, where: str) -> None:
    """Raise ConfigError unless a task's name has the form that names have."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"task name '{name}' is not of the form [a-z][a-z0-9_]*", where=where)


def check_task_name(name: str, where: str) -> None:
    """Raise ConfigError unless a task may have this name."""
    from torch.nn import ModuleDict

    check_task_form(name, where)
    if hasattr(ModuleDict(), name):
        raise ConfigError(
            f"task name '{name}' is a reserved word of torch.nn.ModuleDict", where=where, hint="rename it"
        )


def _one_line(error: Exception) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark:  # a YAML error
        return f"{problem} in line {mark.line + 1}, column {mark.column + 1}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    full_key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key")), "")
    text = lines[0] if lines else type(error).__name__
    text = text.replace("Value '$VALUE' of type '$VALUE_TYPE'", "a value")  # omegaconf forgets to fill these in
    hint = next((line for line in lines[1:] if line.startswith("Did you mean")), "")
    return f"{full_key + ': ' if full_key else ''}{text}{' ' + hint if hint and hint not in text else ''}"
