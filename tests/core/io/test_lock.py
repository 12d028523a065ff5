"""One writer a folder: who is refused, what a killed owner leaves, and what decides where the system has no locks."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from separate import start

from umbel.contract.errors import BusyError, DataError
from umbel.io import holder, lock
from umbel.io.lock import LOCK_FILE, hold
from umbel.io.run_folder import hold_around


def take_and_wait(folder: Path, told: Path, children: int) -> None:
    """Holds a folder, with children such as a loader's workers, until it is killed."""
    with hold(folder, "umbel train"):
        pids = []
        for _ in range(children):
            if not (pid := os.fork()):
                time.sleep(60)
                os._exit(0)
            pids.append(pid)
        told.write_text(json.dumps(pids))
        time.sleep(60)


def started(folder: Path, told: Path, children: int = 0) -> tuple[Any, list[int]]:
    process = start(take_and_wait, folder, told, children)
    while not told.is_file() or not told.read_text():
        assert process.is_alive()
        time.sleep(0.005)
    return process, json.loads(told.read_text())


def test_the_refusal_says_who_where_since_when_and_what_to_do(tmp_path: Path) -> None:
    process, _ = started(tmp_path / "run", tmp_path / "told")
    try:
        with pytest.raises(BusyError, match="umbel train") as refused, hold(tmp_path / "run", "umbel report"):
            pass
    finally:
        process.kill()
        process.join()
    text = str(refused.value)
    assert str(tmp_path / "run") in text
    assert f"process {process.pid} on {os.uname().nodename}, since 20" in text
    assert "write to another folder" in text
    assert refused.value.exit_code == 2


def test_a_killed_owner_leaves_nothing_locked_even_while_its_workers_live(tmp_path: Path) -> None:
    process, workers = started(tmp_path / "run", tmp_path / "told", children=2)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    try:
        assert (tmp_path / "run" / LOCK_FILE).is_file()
        for pid in workers:
            os.kill(pid, 0)  # they are there
        before = time.monotonic()
        with hold(tmp_path / "run", "umbel train --resume"):
            assert time.monotonic() - before < 1
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)


def test_another_thread_is_another_and_the_same_thread_is_not(tmp_path: Path) -> None:
    refused: list[BusyError] = []

    def other() -> None:
        try:
            with hold(tmp_path, "umbel report"):
                pass
        except BusyError as error:
            refused.append(error)

    with hold(tmp_path, "umbel train"):
        for spelled in (tmp_path, tmp_path / "." / ".." / tmp_path.name):
            with hold(spelled, "umbel report"):  # what training itself calls
                pass
        assert (tmp_path / LOCK_FILE).read_bytes()  # to open and close the file, as a copy does, lets go of nothing
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert len(refused) == 1


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with hold(tmp_path / "runs" / "first", "umbel train"):
        assert (tmp_path / "runs" / "first" / LOCK_FILE).is_file()
    assert not (tmp_path / "runs").exists()
    with hold(tmp_path / "runs" / "first", "umbel train"):
        (tmp_path / "runs" / "first" / "kept").touch()
    assert [path.name for path in (tmp_path / "runs" / "first").iterdir()] == ["kept"]


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 999, b"[]", b'{"host": {}}', b"{" * 4000, b'{"pid": 1e999}'])
def test_a_lock_file_that_is_none_is_in_nobodys_way(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LOCK_FILE).write_bytes(content)
    with hold(tmp_path, "umbel train"):
        assert json.loads((tmp_path / LOCK_FILE).read_bytes())["pid"] == os.getpid()
    assert not (tmp_path / LOCK_FILE).exists()


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "odd" / LOCK_FILE).mkdir(parents=True)
    (tmp_path / "led").mkdir()
    (tmp_path / "led" / LOCK_FILE).symlink_to(tmp_path / "file")
    for folder in (tmp_path / "file", tmp_path / "odd", tmp_path / "led"):
        with pytest.raises(DataError, match=f"{folder.name}: cannot be written"), hold(folder, "umbel train"):
            pass
    assert not (tmp_path / "file").read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(DataError, match="cannot be written"), hold(tmp_path, "umbel train"):
        pass


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""
    monkeypatch.setattr(lock, "fcntl", None)
    monkeypatch.setattr(lock, "_PAUSE", 0.01)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_the_process_that_the_file_names_decides(tmp_path: Path) -> None:
    path = tmp_path / LOCK_FILE
    path.write_bytes(holder.myself("umbel train").to_bytes())
    with pytest.raises(BusyError, match=f"process {os.getpid()}"), hold(tmp_path, "umbel report"):
        pass
    reused = {**json.loads(path.read_bytes()), "started": 5}  # another process had this number
    path.write_text(json.dumps(reused))
    with hold(tmp_path, "umbel report"):
        pass
    assert not path.exists()


@pytest.mark.parametrize("alive", [True, False])
def test_a_sign_of_life_of_another_machine_decides_where_its_lock_is_not_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alive: bool
) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.08)
    monkeypatch.setattr(lock, "_WATCHED", 0.3)
    path = tmp_path / LOCK_FILE
    away = {**json.loads(holder.myself("umbel train").to_bytes()), "host": "node7", "boot": "another"}
    path.write_text(json.dumps(away))
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.02):
            os.utime(path)

    thread = threading.Thread(target=beat)
    if alive:
        thread.start()
        with pytest.raises(BusyError, match="on node7"), hold(tmp_path, "umbel train --resume"):
            pass
        ended.set()
        thread.join()
    else:
        with hold(tmp_path, "umbel train --resume"):
            assert json.loads(path.read_bytes())["host"] != "node7"


def test_the_owner_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT", 0.02)
    with hold(tmp_path, "umbel train"):
        os.utime(tmp_path / LOCK_FILE, (5, 5))
        end = time.monotonic() + 5
        while (tmp_path / LOCK_FILE).stat().st_mtime < 10 and time.monotonic() < end:
            time.sleep(0.01)
        assert time.time() - (tmp_path / LOCK_FILE).stat().st_mtime < 60


def test_what_is_written_inside_a_run_needs_the_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "recipe.yaml").touch()
    process, _ = started(run, tmp_path / "told")
    try:
        with pytest.raises(BusyError), hold_around(run / "export" / "onnx", "umbel export"):
            pass
        with hold_around(tmp_path / "elsewhere", "umbel export"):
            pass
    finally:
        process.kill()
        process.join()
