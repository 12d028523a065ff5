"""An operator without a kernel that repeats to the bit, which torch refuses: said of the task that uses it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from umbel.contract.errors import ConfigError

_REFUSED = re.compile(r"(?P<operator>[\w:. ]+?) does not have a deterministic implementation")
_TOO_LATE = "CUBLAS_WORKSPACE_CONFIG"


def refused_kernel(error: BaseException) -> str:
    """What torch's deterministic mode has refused: the operator, "cuBLAS", or "" for any other error."""
    if not isinstance(error, RuntimeError):
        return ""
    found = _REFUSED.search(str(error))
    if found is not None:
        return found["operator"].strip()
    return "cuBLAS" if _TOO_LATE in str(error) else ""


@contextmanager
def deterministic_task(name: str) -> Iterator[None]:
    """Within it, a kernel that torch refuses is a ConfigError that names task and operator.

    Args:
        name: the task that is computed.
    """
    try:
        yield
    except RuntimeError as error:
        operator = refused_kernel(error)
        if not operator:
            raise
        if operator == "cuBLAS":
            raise ConfigError(
                "this process has multiplied matrices on a GPU before the run could set CUBLAS_WORKSPACE_CONFIG",
                where="train.deterministic",
                hint="set CUBLAS_WORKSPACE_CONFIG=:4096:8 in its environment",
            ) from error
        raise ConfigError(
            f"task '{name}' uses {operator}, which has no kernel on this device that repeats to the bit",
            where="train.deterministic",
            hint="set it to false, or use another operator in the task or backbone",
        ) from error
