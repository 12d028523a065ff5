"""Arguments that name a run or a recipe, looked for when the command line is read: a wrong one costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from umbel.cli.found import found_plugins

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Target(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A run's folder, a recipe, or either; the value is the text as given.

    Args:
        run: whether a run will do.
        recipe: whether a recipe will do.
    """

    def __init__(self, *, run: bool = False, recipe: bool = False) -> None:
        self.run, self.recipe = run, recipe
        self.name = "|".join(word for word, wanted in (("RUN", run), ("RECIPE", recipe)) if wanted)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from umbel.config.targets import check_target

        check_target(str(value), found_plugins(), run=self.run, recipe=self.recipe)
        return value


class RunFolder(Target):
    """A run's folder; the value is its path."""

    def __init__(self) -> None:
        super().__init__(run=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from pathlib import Path

        return Path(super().convert(value, param, ctx))


def look_early(target: str | Path, overrides: Sequence[str] = ()) -> None:
    """Raise for a wrong key or value of a recipe, or of a run's, before torch is imported, which takes seconds."""
    from pathlib import Path

    from umbel.config.load import check_recipe
    from umbel.io.run_folder import RECIPE_FILE

    inside = Path(target) / RECIPE_FILE
    check_recipe(str(inside if inside.is_file() else target), overrides, found_plugins())


RECIPE = Target(recipe=True)

RUN_OR_RECIPE = Target(run=True, recipe=True)

RUN = RunFolder()
