"""Which part of a data set is its training and which its validation data, by the names that people and tools use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from umbel.contract.errors import DataError

SPLIT_NAMES = {  # the recipe's own name first
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}

log = logging.getLogger(__name__)

_said: set[str] = set()


def find_split(root: Path, split: str, pattern: str = "{}", accept: Callable[[Path], bool] = Path.exists) -> str | None:
    """The name by which a data set calls a split: its own or another usual one, in lower case, Capitals or UPPER CASE.

    Args:
        root: folder of the data set.
        split: "train", "val" or "test".
        pattern: where the split is below `root`, "{}" standing for its name, such as "ImageSets/Main/{}.txt".
        accept: whether such a file or folder is one.

    Returns:
        The name, such as "valid"; None if there is none.

    Raises:
        DataError: the split's own name is not there, but several others are.
    """
    spelt = [spelling for name in SPLIT_NAMES[split] for spelling in (name, name.capitalize(), name.upper())]
    if pattern == "{}" and not root.is_dir():
        return None
    found = [name for name in spelt if accept(root / pattern.format(name))]
    if len(found) > 1 and found[0] != split:
        different = {(root / pattern.format(name)).resolve() for name in found}
        if len({str(path).lower() for path in different}) > 1:
            raise DataError(
                f"may call its {split} split {' or '.join(pattern.format(name) for name in found)}",
                where=str(root),
                hint=f"keep one, or rename the right one to {pattern.format(split)}",
                kind="empty-split",
            )
    return found[0] if found else None


def find_val_or_test(
    root: Path,
    pattern: str = "{}",
    accept: Callable[[Path], bool] = Path.exists,
    labelled: Callable[[Path], bool] | None = None,
) -> str | None:
    """The name of the validation split or, where there is none, of a test split that has labels.

    Args:
        root: folder of the data set.
        pattern: see `find_split`.
        accept: see `find_split`.
        labelled: whether a test split has labels, as many have not; None: what is accepted has some.
    """
    found = find_split(root, "val", pattern, accept)
    return found or find_split(
        root, "test", pattern, lambda path: accept(path) and (labelled is None or labelled(path))
    )


def is_test_name(name: str) -> bool:
    """Whether a name found is that of a test split."""
    return name.lower() in SPLIT_NAMES["test"]


def say_test_validates(name: str, where: Path) -> None:
    """Say, once for a data set, that its test split is what validates."""
    line = f"{where}: there is no validation split; {name!r} validates. `holdout` would spare it"
    if is_test_name(name) and line not in _said:
        _said.add(line)
        log.warning("%s", line)
