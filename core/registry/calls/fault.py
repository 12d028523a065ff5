"""What a call into a plugin raised or returned, as one error that says whose it was and what was expected."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from umbel.contract.errors import DataError, PluginError, StopRequestedError, UmbelError
from umbel.registry.calls.kernels import refused_kernel
from umbel.registry.calls.owner import Owner, owner_of

LONGEST = 300  # characters of a message: some libraries put whole arrays into theirs

_LIBRARIES = {"torch", "numpy", "torchmetrics", "cv2", "PIL", "pluggy"}

_DEBUG = "--debug shows the traceback"


def passes(error: BaseException) -> bool:
    """Whether an error is no fault of the code called: it explains itself, is the machine's or another
    rank's, or the recipe has asked for it."""
    if isinstance(error, (UmbelError, StopRequestedError, MemoryError)) or not isinstance(error, Exception):
        return True
    import torch

    if refused_kernel(error):
        return True
    if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
        return True
    if os.environ.get("WORLD_SIZE", "1") in ("", "1"):
        return False
    from umbel.contract.errors import is_peer_failure

    return is_peer_failure(error)


def raised(owner: Owner, method: str, error: BaseException, expects: str = "", sample: str = "") -> PluginError:
    """The error in place of one that a method raised; the caller chains it with `from`."""
    expected = f"expected {expects}; " if expects else ""
    message = f"{owner.method(method)} raised {describe_error(error)}"
    fault = PluginError(message, where=_where(owner, sample), hint=f"{expected}{_DEBUG}", kind="defect")
    fault.trace = "".join(traceback.format_exception(error))
    return fault


def spoilt(owner: Owner, method: str, error: BaseException, sample: str) -> DataError:
    """The same for what was raised about one sample, in whose place another one may be taken."""
    hint = f"raised by {owner.method(method)}"
    fault = DataError(f"cannot be used: {describe_error(error)}", where=_where(owner, f"sample {sample}"), hint=hint)
    fault.trace = "".join(traceback.format_exception(error))
    return fault


def returned(owner: Owner, method: str, what: str, expects: str, sample: str = "") -> PluginError:
    """The error for a value that a method must not return.

    Args:
        owner: whose method.
        method: its name.
        what: the value, or what is wrong with it, to follow "returned".
        expects: what it should have been.
        sample: which it was called for, where that is known.
    """
    message = f"{owner.method(method)} returned {what}; expected {expects}"
    return PluginError(message, where=_where(owner, sample), kind="defect")


@contextmanager
def of_samples(ids: Sequence[str]) -> Iterator[None]:
    """Within it a fault of a plugin says which samples it was called for, unless it does already."""
    try:
        yield
    except PluginError as error:
        if "sample" not in error.where and ids:
            more = f" and {len(ids) - 4} more" if len(ids) > 4 else ""
            error.where = f"{error.where}, sample{'s' * (len(ids) > 1)} {', '.join(map(str, ids[:4]))}{more}"
        raise


@contextmanager
def of_backward(task: object) -> Iterator[None]:
    """Within it an error of a backward pass names the task whose loss it started from."""
    try:
        yield
    except Exception as error:
        if passes(error):
            raise
        raise raised(
            owner_of(task), "loss", error, "a total that can be differentiated; its backward failed"
        ) from error


def describe_error(error: BaseException) -> str:
    """Kind, message and the line that raised it, on one line."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _LIBRARIES.intersection(Path(frame.filename).parts)] or frames
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    said = " ".join(str(error).split())[:LONGEST]
    return f"{type(error).__name__}: {said}{place}"


def describe(value: Any) -> str:
    """What a value is, with shape and type where it has them: "ndarray of float64 (64, 96, 3)"."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    name = type(value).__name__
    if shape is not None and dtype is not None:
        return f"{name} of {str(dtype).removeprefix('torch.')} {tuple(shape)}"
    if value is None:
        return "None"
    if isinstance(value, Mapping):
        return f"{name} of {', '.join(map(str, list(value)[:8])) or 'nothing'}"
    if isinstance(value, (list, tuple, set, frozenset)):
        inside = sorted({type(item).__name__ for item in value})[:4]
        return f"{name} of {len(value)}{f' ({chr(44).join(inside)})' if inside else ''}"
    if isinstance(value, (str, int, float)):
        return f"{name} {value!r}"[:80]
    return name


def _where(owner: Owner, sample: str) -> str:
    return f"{owner.who}, {sample}" if sample else owner.who
