"""Choosing the reader of a data set: by the name a recipe gives, or by the look of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from umbel.contract.errors import ConfigError, DataError
from umbel.data.foreign import describe_folder
from umbel.io.names import as_written, missing_hint


class Detectable(Protocol):
    """What `auto` asks of a reader."""

    looks_for: str  # what `matches` wants to see, for the error message

    def matches(self, options: Any) -> bool:
        """Whether the options' `root` is laid out this way."""


class FormatOptions(Protocol):
    """What is read of a task's options."""

    root: str
    format: str


FormatT = TypeVar("FormatT", bound=Detectable)


def pick_format(formats: Mapping[str, FormatT], options: FormatOptions) -> FormatT:
    """The reader that `options.format` names or, for "auto", the only one that recognises `options.root`.

    Raises:
        ConfigError: the name is unknown.
        DataError: `root` is no folder, or `auto` recognises nothing or several formats; lists what was looked for.
    """
    if options.format != "auto" and options.format not in formats:
        raise ConfigError(f"format is {options.format!r}", hint=f"choose auto or one of {', '.join(formats)}")
    if not Path(options.root).is_dir():
        raise DataError(
            "no such folder",
            kind="missing",
            where=as_written(Path(options.root)),
            hint=f"set root to the folder of the data set; {missing_hint(Path(options.root))}",
        )
    if options.format != "auto":
        return formats[options.format]
    found = [name for name, candidate in formats.items() if candidate.matches(options)]
    if len(found) == 1:
        return formats[found[0]]
    wanted = "; ".join(f"{name}: {formats[name].looks_for}" for name in found or formats)
    if found:
        raise DataError(
            f"is laid out in {len(found)} known ways: {', '.join(found)}",
            where=options.root,
            hint=f"set format to one of them; found {wanted}",
        )
    holds = describe_folder(Path(options.root))
    raise DataError(f"is laid out in no known way; it holds {holds}", where=options.root, hint=f"looked for {wanted}")


def detect_format(formats: Mapping[str, Detectable], options: Any) -> str | None:
    """The name of the only layout that recognises `options.root`; None if there is none or several."""
    found = [name for name, candidate in formats.items() if candidate.matches(options)]
    return found[0] if len(found) == 1 else None
