"""ZeRO stages 0 to 3 against plain PyTorch: 20 steps of SGD in fp32, four schedules, one, two and four ranks.

The table of docs/scaling.md is what `python tests/core/runtime/test_equality.py` prints.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file
from zero_toys import (
    BATCHES,
    SCHEDULES,
    STEPS,
    TESTS,
    composite,
    largest_difference,
    launch_ranks,
    make_runtime,
    reference,
    train_steps,
)

LARGEST = 1e-6
OFFLOAD = '{"offload_optimizer": {"device": "cpu"}}'
STAGES = {  # the weights are so small that by default stage 3 would keep all of them on every rank
    "0": "0",
    "1": "1",
    "2": "2",
    "3": '3:{"stage3_param_persistence_threshold": 0}',
}
CASES = STAGES | {
    "1, optimizer on the CPU": f"1:{OFFLOAD}",
    "2, `overlap_comm`": '2:{"overlap_comm": true}',
    "3, optimizer on the CPU": f"3:{OFFLOAD}",
    "3, small parameters whole": "3",
}
RANKS = {1: STAGES, 2: CASES, 4: STAGES}


def train_cases(world_size: int, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for result in launch_ranks(world_size, str(TESTS / "zero_toys.py"), str(out), *RANKS[world_size].values()):
        assert result.returncode == 0, result.stderr[-2000:]


def differences(out: Path, world_size: int, name: str) -> dict[str, float]:
    """Largest distance from plain PyTorch, by schedule."""
    case = CASES[name].replace(":", "_")
    return {
        schedule: largest_difference(load_file(out / f"{case}-{schedule}.safetensors"), reference(schedule, world_size))
        for schedule in SCHEDULES
    }


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folder with the weights of all cases of a world size; one job trains them all."""
    folders: dict[int, Path] = {}

    def get(world_size: int) -> Path:
        if world_size not in folders:
            folders[world_size] = tmp_path_factory.mktemp(f"world{world_size}")
            train_cases(world_size, folders[world_size])
        return folders[world_size]

    return get


@pytest.mark.slow
@pytest.mark.parametrize(("world_size", "case"), [(ranks, case) for ranks, cases in RANKS.items() for case in cases])
def test_every_stage_equals_plain_pytorch(trained: Callable[[int], Path], world_size: int, case: str) -> None:
    found = differences(trained(world_size), world_size, case)
    assert max(found.values()) <= LARGEST, found


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_local_runtime_equals_plain_pytorch(schedule: str) -> None:
    tasks, runtime = make_runtime(None, {})
    train_steps(runtime, tasks, schedule, 0, STEPS)
    assert largest_difference(runtime.weights(), reference(schedule, 1)) <= LARGEST


def test_the_schedules_differ_and_one_starves_the_last_rank() -> None:
    ends = [reference(schedule, 2) for schedule in SCHEDULES]
    for number, end in enumerate(ends):
        for other in ends[:number]:
            assert largest_difference(end, other) > 1000 * LARGEST
    assert composite("rank without data", 1, 1, 2)["third"] is None
    assert composite("rank without data", 1, 0, 2)["third"] is not None
    assert list(composite("every 2nd step", 1, 0, 2)) == [name for name in BATCHES if name != "second"]


def print_table(folder: Path) -> None:
    print("| ranks | ZeRO stage | " + " | ".join(SCHEDULES) + " |")
    print("|---|---|" + "---|" * len(SCHEDULES))
    for world_size, cases in RANKS.items():
        train_cases(world_size, folder / str(world_size))
        for case in cases:
            cells = [f"{value:.0e}" for value in differences(folder / str(world_size), world_size, case).values()]
            print(f"| {world_size} | {case} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        print_table(Path(scratch))
