"""What a task may be called."""

from __future__ import annotations

import re

from umbel.contract.errors import ConfigError

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_task_form(name: str, where: str, what: str = "task") -> None:
    """Raise ConfigError unless the name of a task, or of what else, has the form that names have."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{what} name '{name}' is not of the form [a-z][a-z0-9_]*", where=where)


def check_task_name(name: str, where: str) -> None:
    """Raise ConfigError unless a task may have this name."""
    from torch.nn import ModuleDict

    check_task_form(name, where)
    if hasattr(ModuleDict(), name):
        raise ConfigError(
            f"task name '{name}' is a reserved word of torch.nn.ModuleDict", where=where, hint="rename it"
        )
