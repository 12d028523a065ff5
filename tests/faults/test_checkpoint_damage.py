"""No damage of a checkpoint goes unnoticed: it is refused by the file's name, and the one before is taken."""

from __future__ import annotations

import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from umbel.checkpoint.read import find_checkpoint, open_checkpoint
from umbel.checkpoint.write import write_checkpoint
from umbel.contract.errors import CheckpointError

FILES = ("manifest.json", "model.safetensors", "optimizer.safetensors", "average.safetensors", "state.json")


def write(root: Path, step: int) -> Path:
    named = {"w": torch.arange(60.0) + step, "n": torch.tensor(step)}
    tensors = {"model": named, "optimizer": {"w/exp_avg": torch.ones(60) * step}, "average": named}
    return write_checkpoint(root, step, tensors, {"steps_done": step, "best": {}})


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path, 1), write(tmp_path, 2)


def check_refused(folder: Path, names: set[str], caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(CheckpointError) as caught:
        open_checkpoint(folder)
    assert any(f"{folder.name}/{name}: " in str(caught.value) for name in names), str(caught.value)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert find_checkpoint(folder.parent).step == 1
    assert "skipped a damaged checkpoint" in caplog.text
    with pytest.raises(CheckpointError):
        find_checkpoint(folder.parent, exact=True)


def test_a_thousand_flipped_bits(pair: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    newest, chooser = pair[1], random.Random(1)
    contents = {name: (newest / name).read_bytes() for name in FILES}
    for _ in range(1000):
        name = chooser.choice(FILES)
        damaged = bytearray(contents[name])
        damaged[chooser.randrange(len(damaged))] ^= 1 << chooser.randrange(8)
        (newest / name).write_bytes(damaged)
        # a flip in the manifest's list may point at the file that no longer fits it
        check_refused(newest, {name}, caplog)
        (newest / name).write_bytes(contents[name])
    assert find_checkpoint(newest.parent).step == 2


def test_a_hundred_cuts(pair: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    newest, chooser = pair[1], random.Random(2)
    for _ in range(100):
        name = chooser.choice(FILES)
        content = (newest / name).read_bytes()
        (newest / name).write_bytes(content[: chooser.randrange(len(content))])
        check_refused(newest, {name}, caplog)
        (newest / name).write_bytes(content)


def drop(folder: Path, name: str, other: Path) -> None:
    (folder / name).unlink()


def rename(folder: Path, name: str, other: Path) -> None:
    (folder / name).rename(folder / f"x{name}")


def empty(folder: Path, name: str, other: Path) -> None:
    (folder / name).write_bytes(b"")


def make_folder(folder: Path, name: str, other: Path) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()


def mix(folder: Path, name: str, other: Path) -> None:
    shutil.copy(other / name, folder / name)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [drop, rename, empty, make_folder, mix])
def test_files_lost_renamed_emptied_or_of_another_step(
    pair: tuple[Path, Path], damage: Callable[[Path, str, Path], None], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(pair[1], name, pair[0])
    check_refused(pair[1], {name}, caplog)


@pytest.mark.parametrize("one", FILES)
@pytest.mark.parametrize("other", FILES)
def test_swapped_files(pair: tuple[Path, Path], one: str, other: str, caplog: pytest.LogCaptureFixture) -> None:
    if one >= other:
        return
    folder = pair[1]
    left, right = (folder / one).read_bytes(), (folder / other).read_bytes()
    (folder / one).write_bytes(right)
    (folder / other).write_bytes(left)
    if left == right:  # the average and the model may be the same bytes
        assert open_checkpoint(folder)
    else:
        check_refused(folder, {one, other}, caplog)


def test_file_that_no_manifest_lists_is_never_read(pair: tuple[Path, Path]) -> None:
    shutil.copy(pair[1] / "model.safetensors", pair[1] / "extra.safetensors")
    assert open_checkpoint(pair[1]).tensors("extra") == {}


def test_folder_under_another_steps_name_is_refused(pair: tuple[Path, Path], caplog: pytest.LogCaptureFixture) -> None:
    pair[0].rename(pair[0].with_name("step-00000009"))
    with caplog.at_level(logging.WARNING):
        assert find_checkpoint(pair[1].parent).step == 2
    assert "step-00000009/manifest.json: is of step 1" in caplog.text
