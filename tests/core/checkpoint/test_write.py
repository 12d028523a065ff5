"""A checkpoint is whole or absent, whatever the disk does."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from umbel.checkpoint.layout import checkpoint_folders
from umbel.checkpoint.read import find_checkpoint, open_checkpoint
from umbel.checkpoint.write import point_to, write_checkpoint
from umbel.contract.errors import CheckpointError

TENSORS = {
    "model": {"w": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)},
    "optimizer": {"w/step": torch.ones(())},
}


def write(root: Path, step: int, value: float = 0.0) -> Path:
    return write_checkpoint(root, step, {"model": {"w": torch.full((4,), value)}}, {"value": value})


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "new" / "root", 12, TENSORS, {"best": {"score": [0.5, 3]}})
    assert folder.name == "step-00000012"
    checkpoint = open_checkpoint(folder)
    assert checkpoint.step == 12
    assert checkpoint.state == {"best": {"score": [0.5, 3]}}
    for stem, named in TENSORS.items():
        read = checkpoint.tensors(stem)
        assert read.keys() == named.keys()
        for name, value in named.items():
            assert torch.equal(read[name], value)
            assert read[name].dtype == value.dtype
    assert checkpoint.tensors("average") == {}


@settings(max_examples=30, deadline=None)
@given(
    shape=st.lists(st.integers(0, 4), max_size=4),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool]),
    data=st.data(),
)
def test_any_tensor_survives(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], dtype: torch.dtype, data: st.DataObject
) -> None:
    seed = data.draw(st.integers(0, 2**31))
    value = (100 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))).to(dtype)
    folder = write_checkpoint(tmp_path_factory.mktemp("c"), 1, {"model": {"x": value}}, {})
    read = open_checkpoint(folder).tensors("model")["x"]
    assert read.dtype == dtype
    assert torch.equal(read, value)


def test_tied_and_strided_tensors_are_written_once_a_name(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(1, 2, 3, 4)
    tensors = {
        "a": whole,
        "b": whole,
        "c": whole[:, 1],
        "d": whole.to(memory_format=torch.channels_last),
        "e": whole.mT,
    }
    read = open_checkpoint(write_checkpoint(tmp_path, 1, {"model": tensors}, {})).tensors("model")
    for name, value in tensors.items():
        assert torch.equal(read[name], value)


def test_newest_two_and_what_best_names_are_kept(tmp_path: Path) -> None:
    for step in range(1, 8):
        folder = write(tmp_path, step)
        if step in (2, 4):
            point_to(tmp_path, "best" if step == 2 else "best-cars", folder)
    assert [folder.name[-1] for folder in checkpoint_folders(tmp_path)] == ["7", "6", "4", "2"]
    assert (tmp_path / "latest").read_text() == "step-00000007"
    point_to(tmp_path, "best", checkpoint_folders(tmp_path)[0])
    write(tmp_path, 8)
    assert [folder.name[-1] for folder in checkpoint_folders(tmp_path)] == ["8", "7", "4"]


def test_same_step_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, 5, 1.0)
    write(tmp_path, 5, 2.0)
    assert find_checkpoint(tmp_path).state == {"value": 2.0}
    assert len(checkpoint_folders(tmp_path)) == 1


def test_half_written_folder_is_ignored_and_cleaned(tmp_path: Path) -> None:
    write(tmp_path, 1)
    leftover = tmp_path / "step-00000009.tmp-0badf00d"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    assert find_checkpoint(tmp_path).step == 1
    assert checkpoint_folders(tmp_path) == [tmp_path / "step-00000001"]
    write(tmp_path, 2)
    assert not leftover.exists()


def full_disk(after: int) -> Callable[[int], None]:
    """An os.fsync that works so many times, then says that the disk is full."""
    calls = iter(range(after))
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        if next(calls, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    return sync


@pytest.mark.parametrize("after", range(4))
def test_full_disk_leaves_earlier_checkpoints_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    write(tmp_path, 1, 1.0)
    write(tmp_path, 2, 2.0)
    before = content(tmp_path)
    monkeypatch.setattr(os, "fsync", full_disk(after))
    with pytest.raises(CheckpointError, match="step-00000003: cannot be saved: No space left on device"):
        write(tmp_path, 3)
    assert content(tmp_path) == before
    monkeypatch.undo()
    assert find_checkpoint(tmp_path).state == {"value": 2.0}
    write(tmp_path, 3, 3.0)
    assert find_checkpoint(tmp_path).state == {"value": 3.0}


def test_pointer_that_cannot_be_saved_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_to(tmp_path, "best", write(tmp_path, 1))
    before = content(tmp_path)
    monkeypatch.setattr(os, "fsync", full_disk(0))
    with pytest.raises(CheckpointError, match="best: cannot be saved: No space left"):
        point_to(tmp_path, "best", tmp_path / "step-00000002")
    assert content(tmp_path) == before


def test_folder_that_cannot_be_made_is_a_checkpoint_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be saved"):
        write(tmp_path / "file" / "root", 1)


def test_saving_does_not_disturb_the_tensors(tmp_path: Path) -> None:
    parameter: Tensor = torch.nn.Parameter(torch.ones(2, 3, 4, 4).to(memory_format=torch.channels_last))
    write_checkpoint(tmp_path, 1, {"model": {"p": parameter}}, {})
    assert parameter.requires_grad
    assert parameter.is_contiguous(memory_format=torch.channels_last)
