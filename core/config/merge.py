"""Merging one recipe into another; what does not fit is named by its key."""

from __future__ import annotations

import difflib
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from umbel.config.keys import suggest
from umbel.contract.errors import ConfigError

MERGE_ERRORS = (OmegaConfBaseException, TypeError, ValueError, AttributeError)  # a list into a mapping is a TypeError


def merge(base: DictConfig, change: DictConfig, source: str) -> DictConfig:
    try:
        merged = OmegaConf.merge(base, change)
    except MERGE_ERRORS as error:
        key = "" if "full_key" in str(error) else ".".join(_faulty_key(base, OmegaConf.to_container(change)))
        said = one_line(error)
        if "' not in 'Recipe'" in said:
            word = said.partition(":")[0]
            where = suggest(word, tuple(str(task) for task in change.get("tasks") or ()))
            said += f" (did you mean {where}?)" if where else f" (it has {', '.join(base)})"
        raise ConfigError(f"{key + ': ' if key else ''}{said}", where=source) from None
    assert isinstance(merged, DictConfig)
    for section in ("tasks", "sources"):
        _drop_null(merged, base, section, source)
    return merged


def _drop_null(merged: DictConfig, base: DictConfig, section: str, source: str) -> None:
    """Take out what a change has set to null."""
    entries = merged._get_node(section)
    if not isinstance(entries, DictConfig) or entries._is_none() or entries._is_missing():
        return
    known = [str(name) for name in base.get(section) or ()]
    for dropped in [key for key, entry in entries.items_ex(resolve=False) if entry is None]:
        name = str(dropped)
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise ConfigError(
                f"there is no {section[:-1]} '{name}' to drop",
                where=f"{source}: {section}.{name}",
                hint=f"did you mean '{close[0]}'?" if close else f"{section}: {', '.join(known) or 'none'}",
            )
        del entries[dropped]


def _faulty_key(base: DictConfig, change: Any, path: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Where a change does not fit, for the errors of omegaconf that do not say."""
    for key, value in change.items():
        inner = (*path, str(key))
        nested = value
        for part in reversed(inner):
            nested = {part: nested}
        try:
            OmegaConf.merge(base, OmegaConf.create(nested))
        except MERGE_ERRORS:
            return _faulty_key(base, value, inner) if isinstance(value, dict) else inner
    return path


def one_line(error: Exception) -> str:
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    if problem and mark:  # a YAML error
        return f"{problem} in line {mark.line + 1}, column {mark.column + 1}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    full_key = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("full_key")), "")
    text = lines[0] if lines else type(error).__name__
    text = text.replace("Value '$VALUE' of type '$VALUE_TYPE'", "a value")  # omegaconf forgets to fill these in
    hint = next((line for line in lines[1:] if line.startswith("Did you mean")), "")
    return f"{full_key + ': ' if full_key else ''}{text}{' ' + hint if hint and hint not in text else ''}"
