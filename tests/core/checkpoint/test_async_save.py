"""What is written by a thread is what the training held when it was saved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from umbel.checkpoint import save_job as job_module
from umbel.checkpoint.async_save import Background
from umbel.checkpoint.read import find_checkpoint
from umbel.checkpoint.save_job import Job
from umbel.checkpoint.snapshot import Snapshot
from umbel.contract.errors import CheckpointError, TrainingError


class Runtime:
    """Lends its tensors, or gives copies."""

    def __init__(self, lends: bool = True) -> None:
        self.lends = lends
        self.wait: Callable[[], object] = lambda: None

    def before_update(self, callback: Callable[[], object]) -> bool:
        if self.lends:
            self.wait = callback
        return self.lends


class Gated(Snapshot):
    """Copies the optimizer's state when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def copy(self, stem: str, named: Any) -> dict[str, Tensor]:
        if stem != "model":
            assert self.gate.wait(60)
        return super().copy(stem, named)


def make_job(root: Path, model: Tensor, moment: Tensor, step: int = 1) -> Job:
    return Job(root, step, {"model": {"w": model}, "optimizer": {"w/m": moment}}, {}, {"w"}, 2, 0)


def test_weights_may_change_at_once_and_the_rest_once_it_is_copied(tmp_path: Path) -> None:
    model, moment = torch.ones(4), torch.ones(4)
    runtime, snapshot = Runtime(), Gated()
    background = Background(make_job(tmp_path, model, moment), runtime.before_update, snapshot)
    model.zero_()
    waiting = threading.Thread(target=lambda: (runtime.wait(), moment.zero_()))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    snapshot.gate.set()
    waiting.join(60)
    assert background.result() == (None, None)
    found = find_checkpoint(tmp_path)
    assert torch.equal(found.tensors("model")["w"], torch.ones(4))
    assert torch.equal(found.tensors("optimizer")["w/m"], torch.ones(4))
    assert not moment.any()


def test_copies_are_not_copied_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Snapshot, "copy", lambda *given: pytest.fail("copied"))
    assert (
        Background(make_job(tmp_path, torch.ones(2), torch.ones(2)), Runtime(False).before_update, Snapshot()).result()
        == (None,) * 2
    )


def test_memory_is_used_again() -> None:
    snapshot = Snapshot()
    value = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    first = snapshot.copy("model", {"w": value, "b": torch.nn.Parameter(torch.ones(3))})
    second = snapshot.copy("model", {"w": value + 1, "b": torch.zeros(3)})
    assert second["w"].data_ptr() == first["w"].data_ptr() != value.data_ptr()
    assert second["w"].stride() == value.stride()
    assert torch.equal(second["w"], value + 1)
    assert not second["b"].any()
    assert not second["b"].requires_grad
    other = snapshot.copy("optimizer", {"w": value})
    assert other["w"].data_ptr() != second["w"].data_ptr()
    assert snapshot.copy("model", {"w": value[:1]})["w"].shape == (1, 3, 4, 4)


def test_what_kept_it_from_being_written_comes_back(tmp_path: Path) -> None:
    bad = Background(make_job(tmp_path, torch.tensor([torch.nan]), torch.ones(1)), Runtime().before_update, Snapshot())
    ruined, refused = bad.result()
    assert isinstance(ruined, TrainingError)
    assert refused is None
    (tmp_path / "file").write_text("in the way")
    ruined, refused = Background(
        make_job(tmp_path / "file", torch.ones(1), torch.ones(1)), Runtime().before_update, Snapshot()
    ).result()
    assert ruined is None
    assert isinstance(refused, CheckpointError)


def test_defect_is_raised_and_lets_the_next_step_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime()
    monkeypatch.setattr(job_module, "write_checkpoint", lambda *given, **options: 1 / 0)
    background = Background(make_job(tmp_path, torch.ones(1), torch.ones(1)), runtime.before_update, Snapshot())
    runtime.wait()
    background.abandon()
    with pytest.raises(ZeroDivisionError):
        background.result()
