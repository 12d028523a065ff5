"""No command replaces a file that umbel did not write; what it wrote itself may be made again."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from umbel.contract.errors import ConfigError
from umbel.io.written import RECORD, refuse_foreign, writing


def write(folder: Path, name: str, what: str = "prediction", text: str = "ours") -> None:
    with writing(folder, [name], what):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_what_umbel_wrote_may_be_written_again(tmp_path: Path) -> None:
    write(tmp_path, "road/a.jpg")
    write(tmp_path, "road/a.jpg", text="ours again")
    shutil.copytree(tmp_path, tmp_path / "copy")  # with other times
    os.utime(tmp_path / "copy" / "road" / "a.jpg", (9, 9))
    write(tmp_path / "copy", "road/a.jpg")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_text("mine"),
        lambda path: (path.unlink(), path.symlink_to("/dev/null")),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.parent / RECORD).unlink(),
        lambda path: (path.parent / RECORD).write_text('{"files": ["a.json"]}'),
        lambda path: (path.parent / RECORD).write_bytes(b"\xff{"),
    ],
)
def test_what_somebody_else_has_put_there_stays(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = tmp_path / "a.json"
    write(tmp_path, "a.json")
    change(path)
    before = path.lstat()
    with pytest.raises(ConfigError, match=r"a\.json: exists, and") as refused:
        write(tmp_path, "a.json")
    assert path.lstat() == before
    assert "move it away" in str(refused.value)


def test_only_the_same_sort_is_replaced_and_no_input(tmp_path: Path) -> None:
    write(tmp_path, "a.json", "table")
    with pytest.raises(ConfigError, match="wrote it as something else"):
        write(tmp_path, "a.json", "prediction")
    with pytest.raises(ConfigError, match="is read by this command"):
        refuse_foreign(tmp_path, ["a.json"], "table", inputs=[tmp_path / "." / "a.json"], replace=True)
    with writing(tmp_path, ["a.json"], "recipe", replace=True):
        (tmp_path / "a.json").write_text("agreed")


def test_nothing_is_touched_where_one_file_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("mine")
    with pytest.raises(ConfigError, match="b: exists"), writing(tmp_path, ["a", "b"], "prediction"):
        (tmp_path / "a").write_text("ours")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_killed_command_may_be_run_again_and_one_that_wrote_nothing_leaves_nothing(tmp_path: Path) -> None:
    pid = os.fork()
    if not pid:
        with writing(tmp_path, ["a"], "prediction"):
            (tmp_path / "a").write_text("half")
            os._exit(0)
    os.waitpid(pid, 0)
    write(tmp_path, "a")
    with writing(tmp_path / "b", ["c"], "prediction"):
        pass
    assert not list((tmp_path / "b").iterdir())


def test_many_files_cost_little(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(2000)]
    with writing(tmp_path, names, "prediction"):
        for name in names:
            (tmp_path / name).touch()
    before = time.monotonic()
    refuse_foreign(tmp_path, names, "prediction")
    assert time.monotonic() - before < 1
