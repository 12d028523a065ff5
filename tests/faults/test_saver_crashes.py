"""Whenever the saver dies, a checkpoint can be loaded, and no more than the save that died is lost."""

from __future__ import annotations

import builtins
import errno
import io
import logging
import os
import random
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import torch
from separate import CONTEXT, start

from umbel.checkpoint.amend import amend_checkpoint
from umbel.checkpoint.async_save import Background
from umbel.checkpoint.layout import checkpoint_folders
from umbel.checkpoint.read import find_checkpoint, open_checkpoint
from umbel.checkpoint.save_job import Job
from umbel.checkpoint.snapshot import Snapshot
from umbel.checkpoint.write import point_to, write_checkpoint
from umbel.contract.errors import CheckpointError

CALLS = (
    "mkdir",
    "open",
    "fsync",
    "link",
    "rename",
    "replace",
    "unlink",
    "rmdir",
    "close",
    "write",
    "remove",
    "scandir",
)
DIED = 57


def write(root: Path, step: int, size: int = 64) -> Path:
    tensors = {"model": {"w": torch.full((size,), float(step))}, "optimizer": {"m": torch.zeros(size)}}
    return write_checkpoint(root, step, tensors, {"step": step})


def save(root: Path, step: int) -> None:
    point_to(root, "best", write(root, step))


class Lender:
    """A runtime that would go on changing the tensors."""

    def before_update(self, callback: Callable[[], object]) -> bool:
        return True


def save_in_background(root: Path, step: int) -> None:
    tensors = {"model": {"w": torch.full((64,), float(step))}, "optimizer": {"m": torch.zeros(64)}}
    job = Job(root, step, {**tensors}, {"step": step}, {"w"}, 2, 0)
    assert Background(job, Lender().before_update, Snapshot()).result() == (None, None)


def amend(root: Path, step: int) -> None:
    amend_checkpoint(root, step, {"step": step}, keep=2, keep_every=0)


@contextmanager
def at_call(number: int, act: Callable[[], None], *, after: bool) -> Iterator[list[str]]:
    """Acts before or after the so-many-th call of the operating system that goes through Python's own modules."""
    made: list[str] = []
    real = {name: getattr(os, name) for name in CALLS}
    real_open = io.open

    def count(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            made.append(name)
            now = len(made) == number
            if now and not after:
                act()
            try:
                return call(*arguments, **options)
            finally:  # also where it fails, as making a folder that exists
                if now and after:
                    act()

        return counted

    class Halved(io.FileIO):
        """A file whose write may be cut in the middle."""

        def write(self, content: Any) -> int:
            made.append("write")
            if len(made) == number:
                super().write(bytes(content)[: len(content) // 2])
                act()
            return super().write(content) or 0

    def opened(path: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode != "wb":
            return real_open(path, mode, *arguments, **options)
        made.append("open")
        if len(made) == number:
            act()
        return Halved(path, "wb")

    for name, call in real.items():
        setattr(os, name, count(name, call))
    io.open = builtins.open = opened
    try:
        yield made
    finally:
        io.open = builtins.open = real_open
        for name, call in real.items():
            setattr(os, name, call)


def in_child(work: Callable[[], None]) -> int:
    """The exit code of a forked process that does the work; its tensors are too small for torch's threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def calls_of_a_save(tmp_path: Path, step: int) -> list[str]:
    for earlier in range(1, step):
        save(tmp_path / "count", earlier)
    with at_call(0, lambda: None, after=False) as made:
        save(tmp_path / "count", step)
    return made


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("save_last", "again"),
    [(save, False), (save, True), (save_in_background, False), (save_in_background, True), (amend, True)],
)
def test_dying_at_any_call_leaves_a_loadable_checkpoint(
    tmp_path: Path, after: bool, again: bool, save_last: Callable[[Path, int], None]
) -> None:
    """The last save, which also deletes the first; or, again, the third, which replaces itself; or what changes it."""
    count = len(calls_of_a_save(tmp_path, 4)) + 20
    died = 0
    for number in range(1, count):
        root = tmp_path / f"{number}"
        for step in (1, 2, 3):
            save(root, step)
        step = 3 if again else 4

        def work(root: Path = root, number: int = number, step: int = step) -> None:
            with at_call(number, lambda: os._exit(DIED), after=after):
                save_last(root, step)

        code = in_child(work)
        assert code in (0, DIED)
        died += code == DIED
        found = find_checkpoint(root)
        assert found.step in (3, step)
        assert found.state == {"step": found.step}
        assert torch.equal(found.tensors("model")["w"], torch.full((64,), float(found.step)))
        assert find_checkpoint(root, "best").step in (3, step)
        good = [folder for folder in checkpoint_folders(root) if open_checkpoint(folder)]
        assert len({folder.name.partition(".")[0] for folder in good}) >= 2
        save(root, 5)
        save(root, 6)
        names = {path.name for path in root.iterdir()} - {".latest.tmp", ".best.tmp"}
        assert names == {"step-00000006", "step-00000005", "latest", "best"}, f"call {number}"
        if code == 0:
            break
    else:
        pytest.fail("the save never came to its end")
    assert died >= 20


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_refusal_at_any_call_harms_nothing(tmp_path: Path, code: int, caplog: pytest.LogCaptureFixture) -> None:
    said = []
    for number in range(1, 200):
        root = tmp_path / f"{code}-{number}"
        for step in (1, 2):
            save(root, step)

        def refuse() -> None:
            raise OSError(code, os.strerror(code))

        with at_call(number, refuse, after=False) as made:
            try:
                write(root, 3)
            except CheckpointError as error:
                said.append(str(error))
        assert find_checkpoint(root).step in (2, 3)
        assert 2 in {open_checkpoint(folder).step for folder in checkpoint_folders(root)}
        save(root, 4)
        save(root, 5)
        assert {folder.name for folder in checkpoint_folders(root)} == {"step-00000004", "step-00000005"}
        assert not list(root.glob("*.tmp-*"))
        if len(made) < number:
            break
    else:
        pytest.fail("the save never came to its end")
    assert len(said) >= 15
    assert all(os.strerror(code) in text for text in said)


def save_for_ever(root: Path, step: int, writer: Connection) -> None:
    while True:
        step += 1
        write(root, step, 50_000)
        writer.send(step)


@pytest.mark.slow
def test_two_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    """A process saves one checkpoint after another and tells of each that is committed; it is killed, and goes on."""
    chooser = random.Random(0)
    step = 0
    for _ in range(200):
        reader, writer = CONTEXT.Pipe(duplex=False)
        child = start(save_for_ever, tmp_path, step, writer)
        writer.close()
        committed = reader.recv()
        time.sleep(chooser.uniform(0, 0.05))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        with suppress(EOFError):
            while True:
                committed = reader.recv()
        reader.close()
        found = find_checkpoint(tmp_path)
        assert committed <= found.step <= committed + 1
        assert torch.equal(found.tensors("model")["w"], torch.full((50_000,), float(found.step)))
        step = found.step
    assert step >= 200


@pytest.mark.parametrize("links", [True, False])
def test_state_is_changed_and_the_tensors_are_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*given: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    save(tmp_path, 1)
    before = {path.name: path.stat().st_ino for path in (tmp_path / "step-00000001").iterdir()}
    if not links:  # as on a memory stick
        monkeypatch.setattr(os, "link", refuse)
    folder = amend_checkpoint(tmp_path, 1, {"evaluated": True}, keep=2, keep_every=0)
    found = find_checkpoint(tmp_path)
    assert found.path == folder == tmp_path / "step-00000001"
    assert found.state == {"step": 1, "evaluated": True}
    assert torch.equal(found.tensors("model")["w"], torch.ones(64))
    after = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert after.keys() == before.keys()
    assert links == (after["model.safetensors"] == before["model.safetensors"])
    assert {path.name for path in tmp_path.iterdir()} == {"step-00000001", "latest", "best"}


def test_no_space_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 1)
    before = sorted(tmp_path.rglob("*"))
    usage = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(
        CheckpointError, match=r"step-00000002: cannot be saved: it needs [\d.]+ KiB and 1000 bytes are free"
    ):
        write(tmp_path, 2, 10_000)
    assert sorted(tmp_path.rglob("*")) == before


def test_two_good_ones_are_kept_before_any_is_deleted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (1, 2, 3):
        write(tmp_path, step)
    file = tmp_path / "step-00000003" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        write(tmp_path, 4)
    assert "step-00000003/model.safetensors: is damaged" in caplog.text
    assert [folder.name[-1] for folder in checkpoint_folders(tmp_path)] == ["4", "3", "2"]
    write(tmp_path, 5)
    assert [folder.name[-1] for folder in checkpoint_folders(tmp_path)] == ["5", "4"]


def test_retention_is_what_was_asked_for(tmp_path: Path) -> None:
    for step in range(1, 11):
        write_checkpoint(tmp_path, step, {"model": {"w": torch.ones(3)}}, {}, keep=3, keep_every=4)
    assert [int(folder.name[-2:]) for folder in checkpoint_folders(tmp_path)] == [10, 9, 8, 4]


def test_files_that_others_add_are_listed_and_verified(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "shards").mkdir()
        (folder / "shards" / "rank-0.bin").write_bytes(b"shard")

    folder = write_checkpoint(tmp_path, 1, {"model": {"w": torch.ones(3)}}, {}, fill=fill)
    assert "shards/rank-0.bin" in open_checkpoint(folder).files
    (folder / "shards" / "rank-0.bin").write_bytes(b"shord")
    with pytest.raises(CheckpointError, match=r"shards/rank-0\.bin: is damaged"):
        open_checkpoint(folder)
