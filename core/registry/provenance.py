"""Which plugins a run was made with: name, version, and the SHA-256 of all files of the distribution."""

from __future__ import annotations

import csv
import hashlib
import inspect
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath
from typing import Any

from umbel.registry.plugins import Plugins

_LARGE = 64 << 20  # bytes; of a larger file the size and both ends are hashed

_END = 1 << 20

_LEFT_OUT = (".pyc", ".pyo")


def plugin_records(plugins: Plugins) -> list[dict[str, Any]]:
    """One entry a plugin, blocked and broken ones too; JSON types.

    `sha256` is that of a distribution's only file, or of the lines "SHA256  NAME" of its files in the order of their
    names, as sha256sum prints them. Names are relative to where packages are installed, so that one version has one
    hash on every machine; what installers write and compiled modules are left out.
    """
    files: dict[str, dict[str, Path]] = {}
    for id, plugin in plugins.found.items():
        found = distribution_files(plugin.distribution, plugins.manager.get_plugin(id))
        files.setdefault(plugin.distribution, {}).update(found)
    digests = {name: _digest(of_distribution) for name, of_distribution in files.items()}
    records: list[dict[str, Any]] = []
    for id, plugin in plugins.found.items():
        digest, count, missing = digests[plugin.distribution]
        file = _file_of(plugins.manager.get_plugin(id))
        records.append(
            {
                "plugin": id,
                "version": plugin.version,
                "file": None if file is None else str(file),
                "sha256": digest,
                "files": count,
                **({"missing": missing} if missing else {}),
                "error": plugin.error or None,
            }
        )
    return records + [{"plugin": id, "blocked": True} for id in plugins.blocked]


def distribution_files(name: str, module: object) -> dict[str, Path]:
    """Files of a distribution by their names in it: those that its RECORD lists and, where it is installed so that it
    can be edited, those of the packages and modules that it imports from.

    Args:
        name: of the distribution.
        module: its plugin: a module, or any object; None where it could not be imported.
    """
    try:
        found: Distribution | None = distribution(name)
    except (PackageNotFoundError, ValueError):
        found = None
    files = _recorded(found) if found is not None else {}
    file = _file_of(module)
    if file is None or file.resolve() in {path.resolve() for path in files.values()}:
        return files
    for package, folder in _packages_of(module, found):
        if folder.is_file():
            files[folder.name] = folder
            continue
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            if path.is_file() and _counts(PurePosixPath(inside.as_posix())):
                files[f"{package.replace('.', '/')}/{inside.as_posix()}"] = path
    return files or {file.name: file}


def _recorded(found: Distribution) -> dict[str, Path]:
    """What RECORD lists, whether it is there or not, but for scripts and what the installer has written."""
    entries = [PurePosixPath(row[0]) for row in csv.reader((found.read_text("RECORD") or "").splitlines()) if row]
    return {
        str(entry): Path(str(found.locate_file(str(entry))))
        for entry in entries
        if _counts(entry) and not entry.parts[0].endswith((".dist-info", ".egg-info")) and entry.parts[0] != ".."
    }


def _counts(inside: PurePosixPath) -> bool:
    hidden = any(part.startswith((".", "__editable__")) or part == "__pycache__" for part in inside.parts)
    return not hidden and not inside.is_absolute() and inside.suffix not in _LEFT_OUT


def _packages_of(module: object, found: Distribution | None) -> list[tuple[str, Path]]:
    """Folders of the packages that a plugin's module is in, outermost first, and files of modules in no package; a
    namespace belongs to nobody."""
    name = module.__name__ if inspect.ismodule(module) else type(module).__module__
    parts = name.split(".")
    names = [".".join(parts[: count + 1]) for count in range(len(parts))]
    if found is not None:
        names += (found.read_text("top_level.txt") or "").split()
    folders: dict[str, Path] = {}
    for each in names:
        package = sys.modules.get(each)
        file = getattr(package, "__file__", None)
        if file and hasattr(package, "__path__"):
            folders[each] = Path(file).parent
        elif file and "." not in each and file.endswith(".py"):
            folders[each] = Path(file)
    return list(folders.items())


def _digest(files: dict[str, Path]) -> tuple[str | None, int, list[str]]:
    """Hash of the files, how many there are, and the names of those that cannot be read."""
    hashes: dict[str, str] = {}
    missing = []
    for name in sorted(files):
        try:
            hashes[name] = _hash(files[name])
        except OSError:
            missing.append(name)
            hashes[name] = "missing"
    if len(hashes) - len(missing) == 0:
        return None, 0, missing
    if len(hashes) == 1:
        return next(iter(hashes.values())), 1, missing
    lines = "".join(f"{value}  {name}\n" for name, value in hashes.items())
    return hashlib.sha256(lines.encode()).hexdigest(), len(hashes) - len(missing), missing


def _hash(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= _LARGE:
            return hashlib.sha256(file.read()).hexdigest()
        state = hashlib.sha256(f"{size}\n".encode() + file.read(_END))
        file.seek(-_END, 2)
        state.update(file.read(_END))
    return state.hexdigest()


def _file_of(plugin: object) -> Path | None:
    if plugin is None:
        return None
    try:
        file = Path(inspect.getfile(plugin if inspect.ismodule(plugin) else type(plugin)))
    except (TypeError, OSError):  # made at run time, or built in
        return None
    return file if file.is_file() else None
