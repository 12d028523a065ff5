"""What a RUN or RECIPE on the command line means, found out before anything heavy is imported."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from umbel.contract.errors import CheckpointError, ConfigError, DataError, UmbelError
from umbel.io.run_folder import CHECKPOINTS, RECIPE_FILE
from umbel.registry.plugins import Plugins

RUNS = "runs"  # where trainings go without --out

_SHOWN = 6


def check_target(given: str, plugins: Plugins, *, run: bool, recipe: bool) -> None:
    """Raise where a name is neither, or not what a command wants.

    Args:
        given: path or name.
        plugins: know the named recipes.
        run: whether the folder of a run will do.
        recipe: whether a recipe will do.

    Raises:
        CheckpointError: it is a folder or file, but of no run.
        ConfigError: there is nothing of that name; the message lists what there is.
    """
    path = Path(given)
    named = [entry.name for entry in plugins.registered("recipe")] if recipe else []
    if path.is_dir():
        inside = (path / RECIPE_FILE).is_file()
        if run and not inside:
            raise CheckpointError(
                f"is not a run: it has no {RECIPE_FILE}", where=given, hint=_runs_inside(path) or "give a run's folder"
            )
        if not run and given.rpartition("/")[2] not in named:
            hint = f"its recipe is {path / RECIPE_FILE}" if inside else "give a YAML file or a named recipe"
            raise ConfigError("is a folder and no recipe", where=given, hint=hint)
    elif path.exists():
        if not recipe:
            raise CheckpointError("is a file, not the folder of a run", where=given, hint=_known(given, (), run=run))
    elif given.rpartition("/")[2] not in named:
        raise _nothing(given, named, run=run, recipe=recipe)


def check_out(out: Path, *, resume: bool) -> None:
    """Raise where a run cannot be written, or go on, in a folder.

    Raises:
        ConfigError: it holds a run already.
        DataError: it is a file, or cannot be written.
        CheckpointError: it is to be resumed and is not there.
    """
    if resume and not out.is_dir():
        raise CheckpointError("no such run to resume", where=str(out), hint=_known(str(out), (), run=True))
    if not resume and (out / CHECKPOINTS).exists():
        raise ConfigError("already holds a run", where=str(out), hint="resume it, or choose another folder")
    check_folder(out)


def check_folder(out: Path) -> None:
    """Raise DataError where a folder cannot be written to, nor made."""
    parent = next(path for path in (out, *out.parents, *out.absolute().parents) if os.path.lexists(path))
    if not parent.is_dir():
        raise DataError("cannot be written: it is a file, not a folder", where=str(parent), hint="choose another --out")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise DataError("cannot be written", where=str(parent), hint="choose another --out")


def _nothing(given: str, named: Sequence[str], *, run: bool, recipe: bool) -> UmbelError:
    what = " and ".join(word for word, wanted in (("no run", run), ("no recipe", recipe)) if wanted)
    return ConfigError(f"{what} '{given}'", hint=_known(given, named, run=run))


def _known(given: str, named: Sequence[str], *, run: bool) -> str:
    """What was perhaps meant, and what there is."""
    runs = _runs() if run else []
    files = sorted(str(path) for path in Path().glob("*.y*ml")) if named or not run else []
    choices = [*runs, *files, *named]
    stems = {Path(choice).stem: choice for choice in choices} | {choice: choice for choice in choices}
    close = difflib.get_close_matches(given, list(stems), n=1) or difflib.get_close_matches(
        Path(given).stem, list(stems), n=1
    )
    parts = [f"did you mean '{stems[close[0]]}'?"] if close else []
    if run:
        parts.append(f"runs here: {', '.join(runs[:_SHOWN]) or 'none'}")
    if named or not run:
        parts.append(
            f"recipes are YAML files{_listed(files)} or the named recipes: {', '.join(sorted(named)) or 'none'}"
        )
    return "; ".join(parts)


def _listed(files: Sequence[str]) -> str:
    return f" ({', '.join(files[:_SHOWN])})" if files else ""


def _runs() -> list[str]:
    """Folders of runs here and in runs/, the newest first."""
    found = [path for parent in (Path(), Path(RUNS)) for path in _folders(parent) if (path / RECIPE_FILE).is_file()]
    return [str(path) for path in sorted(found, key=lambda path: -(path / RECIPE_FILE).stat().st_mtime)]


def _runs_inside(folder: Path) -> str:
    runs = [str(path) for path in _folders(folder) if (path / RECIPE_FILE).is_file()]
    return f"runs in it: {', '.join(runs[:_SHOWN])}" if runs else ""


def _folders(parent: Path) -> list[Path]:
    try:
        return sorted(Path(parent, entry.name) for entry in os.scandir(parent) if entry.is_dir())
    except OSError:
        return []
