"""Damage is found, named and got round."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umbel.checkpoint.read import find_checkpoint, open_checkpoint
from umbel.checkpoint.write import point_to, write_checkpoint
from umbel.contract.errors import CheckpointError

FILES = ("model.safetensors", "state.json")


def write(root: Path, step: int) -> Path:
    return write_checkpoint(root, step, {"model": {"w": torch.arange(50.0)}}, {"step": step})


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bit=st.integers(0, 8 * 400))
def test_any_flipped_bit_is_found_and_the_file_named(tmp_path: Path, name: str, bit: int) -> None:
    folder = write(tmp_path, 1)
    flip(folder / name, bit)
    with pytest.raises(CheckpointError, match=rf"{name}: is damaged: its SHA-256 differs"):
        open_checkpoint(folder)


@pytest.mark.parametrize("name", FILES)
def test_cut_and_missing_files_are_named(tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, 1)
    os.truncate(folder / name, 5)
    with pytest.raises(CheckpointError, match=rf"{name}: has 5 bytes, the manifest says \d+"):
        open_checkpoint(folder)
    (folder / name).unlink()
    with pytest.raises(CheckpointError, match=f"{name}: is missing from the checkpoint"):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (b"", "cannot be read"),
        (b"{", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "does not hold a JSON object"),
        (b"{}", "is damaged"),
        (b'{"umbel": "0", "step": 1, "files": []}', "is not a checkpoint manifest"),
        (b'{"umbel": "0", "step": 1, "files": {}}', "is not a checkpoint manifest"),
        (b'{"umbel": "0", "step": "1", "files": {"state.json": {}}}', "is not a checkpoint manifest"),
        (b'{"umbel": "0", "step": 1, "files": {"state.json": 5}}', "is not a checkpoint manifest"),
        (b'{"step": 1, "files": {"state.json": {}}}', "is damaged"),
        (b'{"umbel": "0", "step": 1, "files": {"state.json": {}}}', "the manifest says None"),
        (b'{"umbel": "0", "step": 2, "files": {"state.json": {}}}', "is of step 2, its folder is called step-00000001"),
        (b'{"umbel": "0", "step": 1, "files": {"state.json": {}, "../x": {}}}', "lists a file outside the checkpoint"),
    ],
)
def test_damaged_manifest_is_refused_by_name(tmp_path: Path, manifest: bytes, message: str) -> None:
    folder = write(tmp_path, 1)
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(CheckpointError, match=message) as caught:
        open_checkpoint(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "device", "sparse"])
@pytest.mark.parametrize("name", ["manifest.json", "state.json"])
def test_json_whose_reading_would_not_end_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    write(tmp_path, 1)
    path = write(tmp_path, 2) / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.touch()
        os.truncate(path, 1 << 40)
    with pytest.raises(CheckpointError, match=name):
        open_checkpoint(path.parent)
    assert find_checkpoint(tmp_path).step == 1


def test_file_swapped_between_checkpoints_is_found(tmp_path: Path) -> None:
    first, second = write(tmp_path, 1), write(tmp_path, 2)
    (second / "state.json").write_bytes((first / "state.json").read_bytes())
    with pytest.raises(CheckpointError, match=r"state\.json: is damaged"):
        open_checkpoint(second)


@pytest.mark.parametrize("damage", ["flip", "cut", "missing", "manifest"])
def test_damaged_newest_falls_back_to_the_one_before_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, 1)
    newest = write(tmp_path, 2)
    if damage == "flip":
        flip(newest / "model.safetensors", 900)
    elif damage == "cut":
        os.truncate(newest / "model.safetensors", 20)
    elif damage == "missing":
        (newest / "state.json").unlink()
    else:
        (newest / "manifest.json").write_text("{")
    with caplog.at_level(logging.WARNING):
        assert find_checkpoint(tmp_path).step == 1
    assert "step-00000002" in caplog.text
    assert "skipped a damaged checkpoint" in caplog.text


def test_nothing_usable_lists_all_damage(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no usable checkpoint"):
        find_checkpoint(tmp_path / "none")
    for step in (1, 2):
        (write(tmp_path, step) / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"step-00000002.*step-00000001"):
        find_checkpoint(tmp_path)


def test_named_checkpoint_is_the_one_asked_for_or_an_error(tmp_path: Path) -> None:
    best = write(tmp_path, 1)
    write(tmp_path, 2)
    point_to(tmp_path, "best", best)
    assert find_checkpoint(tmp_path, "best").step == 1
    with pytest.raises(CheckpointError, match="there is no checkpoint 'best-sky'"):
        find_checkpoint(tmp_path, "best-sky")
    (best / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"state\.json"):
        find_checkpoint(tmp_path, "best")
    (tmp_path / "best").write_bytes(b"\xff\xfe")
    with pytest.raises(CheckpointError):
        find_checkpoint(tmp_path, "best")


def test_lost_latest_pointer_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "latest").unlink()
    assert find_checkpoint(tmp_path).step == 1


def test_manifest_names_version_and_every_file(tmp_path: Path) -> None:
    manifest = json.loads((write(tmp_path, 3) / "manifest.json").read_text())
    assert manifest["step"] == 3
    assert set(manifest["files"]) == set(FILES)
    assert manifest["umbel"]
