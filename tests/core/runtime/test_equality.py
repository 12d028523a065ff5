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
CASES = ("0", "1", "2", "3", f"1:{OFFLOAD}", f"3:{OFFLOAD}", '2:{"overlap_comm": true}')


def train_cases(world_size: int, out: Path, cases: tuple[str, ...] = CASES) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for result in launch_ranks(world_size, str(TESTS / "zero_toys.py"), str(out), *cases):
        assert result.returncode == 0, result.stderr[-2000:]


def difference(out: Path, world_size: int, case: str, schedule: str) -> float:
    weights = load_file(out / f"{case.replace(':', '_')}-{schedule}.safetensors")
    return largest_difference(weights, reference(schedule, world_size))


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
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_every_stage_equals_plain_pytorch(trained: Callable[[int], Path], world_size: int, case: str) -> None:
    differences = {schedule: difference(trained(world_size), world_size, case, schedule) for schedule in SCHEDULES}
    assert max(differences.values()) <= LARGEST, differences


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
    print("| case | ranks | " + " | ".join(SCHEDULES) + " |")
    print("|---|---|" + "---|" * len(SCHEDULES))
    for world_size in (1, 2, 4):
        train_cases(world_size, folder / str(world_size))
        for case in CASES:
            cells = [f"{difference(folder / str(world_size), world_size, case, s):.0e}" for s in SCHEDULES]
            print(f"| {case.replace(':', ' ')} | {world_size} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        print_table(Path(scratch))
