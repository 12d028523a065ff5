"""Loading a recipe: it is read, checked, and typed."""

from __future__ import annotations

from collections.abc import Sequence

from omegaconf.errors import OmegaConfBaseException

from umbel.config.check import build_recipe, check_shell
from umbel.config.loaded_recipe import LoadedRecipe
from umbel.config.merge import one_line
from umbel.config.read import find_recipe, read_with_overrides
from umbel.contract.errors import ConfigError
from umbel.registry.plugins import Plugins


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
        tree = read_with_overrides(path, overrides, plugins)
        return LoadedRecipe(typed=build_recipe(tree, plugins, str(path)), tree=tree, plugins=plugins)
    except OmegaConfBaseException as error:  # an interpolation that does not resolve, wherever it stands
        raise ConfigError(one_line(error), where=str(path)) from None


def check_recipe(name: str, overrides: Sequence[str], plugins: Plugins) -> None:
    """Whether a recipe can be read, names kinds that there are, and has no wrong key or value but in the options of
    kinds, backbone and balancer: what can be known without importing them.

    Raises:
        ConfigError: naming the file and the key.
    """
    path = find_recipe(name, plugins)
    try:
        check_shell(read_with_overrides(path, overrides, plugins), plugins, str(path))
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error), where=str(path)) from None
