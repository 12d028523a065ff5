"""`umbel report`: pages built again from what runs left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from umbel.contract.errors import DataError
from umbel.io.files import write_bytes
from umbel.io.run_folder import RECORD_FILE, REPORT, REPORT_FILE, hold_around
from umbel.io.written import write_new
from umbel.report.comparison import comparison_page
from umbel.report.page import run_page
from umbel.report.run_report import open_report


def write_report(run: Path, out: Path | None = None) -> Path:
    """Build the page of a run from its stored figures; returns the file."""
    path = out or run / REPORT_FILE
    with _page(path):
        write_bytes(path, _built(lambda: run_page(open_report(run)), [run]))
    return path


def write_comparison(runs: Sequence[Path], out: Path) -> Path:
    """Build the page of several runs; returns the file."""
    with _page(out):
        write_bytes(out, _built(lambda: comparison_page([open_report(run) for run in runs]), runs))
    return out


def _built(page: Callable[[], str], runs: Sequence[Path]) -> bytes:
    """The bytes of a page; DataError where a record holds what umbel does not write, which only drawing it shows."""
    try:
        return page().encode()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise DataError(
            f"cannot be shown: {type(error).__name__}: {error}",
            where=" or ".join(str(run / RECORD_FILE) for run in runs),
            hint="write it again: umbel report RUN --evaluate",
        ) from error


@contextmanager
def _page(path: Path) -> Iterator[None]:
    """Within it the page may be written: nobody else writes the run that it lies in, and it replaces no other file."""
    with hold_around(path, "umbel report"), write_new(path, REPORT, replace=_is_page(path)):
        yield


def _is_page(path: Path) -> bool:
    """Whether a file is a report, of a run that was trained before there were records of what is written, too."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError:
        return False
    return start.startswith(b"<!doctype html>") and " \u00b7 umbel</title>".encode() in start
