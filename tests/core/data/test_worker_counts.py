"""`workers: auto`: the rule, what the recipe says before it, and room in shared memory."""

from __future__ import annotations

import pytest
from toys import BrightOptions, BrightTask

from umbel.contract.task_config import TaskConfig
from umbel.data import worker_counts as module
from umbel.data.worker_counts import auto_workers, reads_ahead, shared_memory, worker_counts

PAPER = {"road": (3, (512, 1024)), "cars": (6, (448, 448)), "signs": (2, (1024, 1024))}


def configs(**workers: int | str) -> dict[str, TaskConfig]:
    return {name: TaskConfig("it", *PAPER[name], workers.get(name, "auto")) for name in PAPER}  # type: ignore[arg-type]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """16 CPUs, one process, plenty of shared memory."""
    monkeypatch.setattr(module, "available_cpus", lambda: 16)
    monkeypatch.setattr(module, "local_processes", lambda: 1)
    monkeypatch.setattr(module, "_shared_memory_free", lambda: 2**36)
    return monkeypatch


@pytest.mark.parametrize(
    ("device", "cpus", "tasks", "expected"),
    [("cuda", 1, 3, 0), ("cuda", 2, 3, 1), ("cuda", 6, 3, 2), ("cuda", 16, 3, 4), ("cuda", 16, 1, 4),
     ("cuda", 128, 6, 4), ("cpu", 1, 1, 0), ("cpu", 2, 3, 1), ("cpu", 64, 1, 1), ("cpu", 0, 1, 0)],
)  # fmt: skip
def test_the_rule(device: str, cpus: int, tasks: int, expected: int) -> None:
    assert auto_workers(device, cpus, tasks) == expected


def test_numbers_of_the_recipe_stand(machine: pytest.MonkeyPatch) -> None:
    assert worker_counts(configs(), "cuda") == {"road": 4, "cars": 4, "signs": 4}
    assert worker_counts(configs(cars=0, signs=7), "cpu") == {"road": 1, "cars": 0, "signs": 7}
    machine.setattr(module, "local_processes", lambda: 8)  # two CPUs each
    assert worker_counts(configs(), "cuda") == {"road": 1, "cars": 1, "signs": 1}


def test_a_small_shared_memory_gets_fewer(machine: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    a_worker_each = sum(shared_memory(config, 1) for config in configs().values())
    machine.setattr(module, "_shared_memory_free", lambda: 2 * 2 * a_worker_each)
    assert worker_counts(configs(), "cuda") == {"road": 2, "cars": 2, "signs": 2}
    assert "workers: auto is 2 instead of 4" in caplog.text
    machine.setattr(module, "_shared_memory_free", lambda: 64 * 2**20)  # Docker's
    assert worker_counts(configs(), "cuda") == {"road": 0, "cars": 0, "signs": 0}
    assert "--shm-size" in caplog.text
    caplog.clear()
    assert worker_counts(configs(road=4, cars=4, signs=4), "cuda") == {"road": 4, "cars": 4, "signs": 4}
    assert not caplog.text


def test_shared_memory_is_what_batches_take() -> None:
    """Three batches a process, of an image and a label map of 64 bits."""
    assert shared_memory(configs()["road"], 4) == 4 * 3 * 3 * 512 * 1024 * (3 + 8)


@pytest.mark.parametrize(
    ("workers", "cpus", "expected"), [(0, 16, False), ("auto", 1, False), ("auto", 2, True), (1, 1, True)]
)
def test_who_reads_ahead(machine: pytest.MonkeyPatch, workers: int | str, cpus: int, expected: bool) -> None:
    machine.setattr(module, "available_cpus", lambda: cpus)
    task = BrightTask("it", TaskConfig("bright", 2, (16, 8), workers), BrightOptions())
    assert reads_ahead({"it": task}) is expected


@pytest.mark.parametrize("value", ["many", "2", -1, 257])
def test_what_is_no_number_of_processes_is_refused(value: int | str) -> None:
    with pytest.raises(ValueError, match="workers is"):
        TaskConfig("bright", 2, (16, 8), value)
