"""Writing a new plugin distribution from the templates in scaffold/: complete, installable, and within the contract."""

from __future__ import annotations

import re
from pathlib import Path

from umbel.config.names import check_task_name
from umbel.contract.errors import ConfigError

FOLDER = Path(__file__).parent / "scaffold"

KINDS = tuple(sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "common"))

SUFFIX = ".tmpl"


def write_plugin(name: str, shape: str, parent: Path) -> list[Path]:
    """Write the distribution umbel-NAME into a folder of that name.

    Args:
        name: the new kind, as a recipe will write it: [a-z][a-z0-9_]*.
        shape: what it predicts, one of `KINDS`.
        parent: folder that gets the new one.

    Returns:
        The files written.

    Raises:
        ConfigError: if a recipe could not write the name, or the folder exists.
    """
    check_name(name)
    folder = parent / f"umbel-{name.replace('_', '-')}"
    if folder.exists() or folder.is_symlink():
        raise ConfigError("exists already", where=str(folder), hint="choose another name, or another folder by --out")
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir()  # it alone tells which of two commands was first
    except FileExistsError:
        raise ConfigError("exists already", where=str(folder), hint="choose another name or --out") from None
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", where=str(folder)) from None
    words = {
        "NAME": name,
        "CLASS": "".join(part.capitalize() for part in name.split("_") if part),
        "MODULE": f"umbel_{name}",
        "DISTRIBUTION": folder.name,
    }
    written = []
    for source in sorted(path for part in ("common", shape) for path in (FOLDER / part).rglob(f"*{SUFFIX}")):
        inside = source.relative_to(FOLDER).parts[1:]
        name_inside = "/".join(words["MODULE"] if part == "package" else part for part in inside)
        path = folder / _filled(name_inside.removesuffix(SUFFIX), words)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_filled(source.read_text(encoding="utf-8"), words), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot be written: {error.strerror}", where=str(path)) from None
        written.append(path)
    return written


def check_name(name: str) -> None:
    """Raise ConfigError for a name that a recipe could not write, or a distribution not bear."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or name.endswith("_"):
        raise ConfigError(f"'{name}' is no name for a task", hint="letters a-z, digits and _, such as lane_lines")
    check_task_name(name, "NAME")


def _filled(text: str, words: dict[str, str]) -> str:
    """The text with @WORD@ replaced."""
    return re.sub(r"@([A-Z]+)@", lambda match: words[match[1]], text)
