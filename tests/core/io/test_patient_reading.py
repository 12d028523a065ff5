"""Errors that network file systems recover from are waited out, a few times; others are not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from umbel.contract.errors import DataError
from umbel.io import files


def fail(monkeypatch: pytest.MonkeyPatch, code: int, times: int) -> list[float]:
    """Reading fails this often; returns the pauses that are made."""
    pauses: list[float] = []
    left, read = [times], Path.read_bytes

    def flaky(self: Path) -> bytes:
        if left[0]:
            left[0] -= 1
            raise OSError(code, "told so")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", flaky)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    return pauses


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT])
def test_passing_error_is_waited_out(code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"here")
    pauses = fail(monkeypatch, code, 2)
    assert files.read_bytes(tmp_path / "x") == b"here"
    assert len(pauses) == 2
    assert sum(pauses) <= 30


@pytest.mark.parametrize(("code", "times", "pauses"), [(errno.EIO, 3, 2), (errno.EACCES, 1, 0)])
def test_lasting_error_is_reported(
    code: int, times: int, pauses: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"here")
    made = fail(monkeypatch, code, times)
    with pytest.raises(DataError, match="cannot be read"):
        files.read_bytes(tmp_path / "x")
    assert len(made) == pauses
