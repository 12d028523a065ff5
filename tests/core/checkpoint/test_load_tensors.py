"""Weight files: tensors, never code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from umbel import CheckpointError, load_tensors

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2, dtype=torch.bfloat16)}


class _Touch:
    """Would create a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return (Path.touch, (self.path,))


def check(tensors: dict[str, torch.Tensor]) -> None:
    assert tensors.keys() == TENSORS.keys()
    assert all(
        torch.equal(tensors[name], value) and tensors[name].dtype == value.dtype for name, value in TENSORS.items()
    )


@pytest.mark.parametrize("name", ["w.safetensors", "w.SAFETENSORS"])
def test_safetensors(name, tmp_path):
    save_file(TENSORS, tmp_path / name)
    check(load_tensors(tmp_path / name))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors, "epoch": 3},
        lambda tensors: {"model": {"state_dict": tensors}},
        lambda tensors: {**tensors, "version": 2},
        lambda tensors: {name: torch.nn.Parameter(value) for name, value in tensors.items()},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_pth(wrap, zipped, tmp_path):
    torch.save(wrap(dict(TENSORS)), tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
    loaded = load_tensors(tmp_path / "w.pth")
    check(loaded)
    assert not any(value.requires_grad for value in loaded.values())


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_and_not_run(zipped, tmp_path):
    canary = tmp_path / "canary"
    torch.save(
        {"a": TENSORS["a.weight"], "b": _Touch(canary)}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(CheckpointError, match="would run code") as caught:
        load_tensors(tmp_path / "w.pth")
    assert not canary.exists()
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_truncated_files_are_refused(suffix, share, tmp_path):
    path = tmp_path / f"w{suffix}"
    if suffix == ".pth":
        torch.save(TENSORS, path)
    else:
        save_file(TENSORS, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        load_tensors(path)


@pytest.mark.parametrize("content", [torch.ones(3), [torch.ones(3)], {}, {"epoch": 3}, {"model": {"x": 1}}, 5])
def test_files_without_named_tensors_are_refused(content, tmp_path):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match="holds no tensors"):
        load_tensors(tmp_path / "w.pth")


def test_missing_files_and_folders_are_named(tmp_path):
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(CheckpointError, match="no such weight file"):
            load_tensors(path)
