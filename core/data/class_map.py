"""Turning the classes that a data set stores into those of a task: renaming, merging, dropping and ordering."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from umbel.contract.errors import ConfigError, DataError
from umbel.contract.options import check_unique
from umbel.io.names import describe_difference, find_alike, find_confusable


@dataclass(frozen=True)
class ClassMap:
    """Where every stored class goes.

    Args:
        names: the task's classes by id.
        targets: for every stored class, by its index, the id of the task's class; None for a dropped one.
    """

    names: tuple[str, ...]
    targets: tuple[int | None, ...]


def map_classes(
    stored: Sequence[str],
    changes: Mapping[str, str | None],
    class_names: Sequence[str] = (),
    *,
    where: str,
) -> ClassMap:
    """The task's classes from those that the data stores.

    Args:
        stored: class names as the data has them, by index.
        changes: stored name to new name; names that become one are merged, None drops a class, the others stay.
        class_names: the resulting classes by id, which may be more than the data has; empty takes those that result, in
            order of first appearance.
        where: the recipe key of the task's options, for errors.

    Raises:
        ConfigError: `changes` names a class that is not stored, or `class_names` lacks one that results.
        DataError: stored names repeat, or no class is left.
    """
    try:
        check_unique("class names", stored)
    except ValueError as error:
        raise DataError(str(error), where=where) from None
    for name in changes:
        if name not in stored:
            raise ConfigError(
                f"{name!r} is no class of the data", where=f"{where}.class_map", hint=_suggest(name, stored)
            )
    renamed = [changes.get(name, name) for name in stored]
    names = tuple(class_names) or tuple(dict.fromkeys(name for name in renamed if name is not None))
    if not names:
        raise DataError("no class is left", where=f"{where}.class_map", hint=f"the data has {_listed(stored)}")
    twins = find_confusable(names)
    if twins is not None:
        raise DataError(
            f"the data has two classes that look alike, one {describe_difference(*twins)}",
            where=where,
            hint="rename one in the data, or merge them by class_map",
        )
    ids = {name: index for index, name in enumerate(names)}
    for old, new in zip(stored, renamed, strict=True):
        if new is not None and new not in ids:
            became = "" if new == old else f", which {old!r} becomes,"
            raise ConfigError(
                f"lacks the class {new!r}{became} of the data",
                where=f"{where}.class_names",
                hint=f"{_suggest(new, names)}; class_map renames, merges or drops stored classes",
            )
    return ClassMap(names, tuple(None if new is None else ids[new] for new in renamed))


def _suggest(name: str, known: Sequence[str]) -> str:
    alike = find_alike(name, known)
    if alike:
        return alike
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are {_listed(known)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:40]) + (f" and {len(names) - 40} more" if len(names) > 40 else "")
