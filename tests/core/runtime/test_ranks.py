"""Who a process is, what its launcher says, and which errors only echo another rank's."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from umbel.cli import without_local_rank
from umbel.contract.errors import ConfigError, is_peer_failure
from umbel.runtime.device import choose_device
from umbel.runtime.ranks import Ranks, init_process_group, ranks_from_env


def test_process_without_a_launcher_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert ranks_from_env() == Ranks(0, 1, 0)
    assert ranks_from_env().is_main_process


def test_launcher_speaks_through_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "5"), ("WORLD_SIZE", "8"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    assert ranks_from_env() == Ranks(5, 8, 1)
    assert not ranks_from_env().is_main_process
    monkeypatch.setenv("RANK", "8")
    with pytest.raises(ConfigError, match="RANK is 8 of a WORLD_SIZE of 8"):
        ranks_from_env()
    monkeypatch.setenv("RANK", "one")
    with pytest.raises(ConfigError, match="must be whole numbers"):
        ranks_from_env()


def test_several_processes_need_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(ConfigError, match=r"2 processes, but MASTER_ADDR and MASTER_PORT not set.*torchrun"):
        init_process_group(Ranks(0, 2, 0), torch.device("cpu"), 5.0)


def test_one_process_agrees_with_itself() -> None:
    flags = torch.tensor([0.0, 1.0])
    assert torch.equal(Ranks().all_reduce_max(flags), flags)
    assert Ranks().all_gather([3, 4]) == [[3, 4]]


def test_each_process_has_its_own_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert choose_device("auto", Ranks(7, 8, 3)) == torch.device("cuda:3")
    assert choose_device("cpu", Ranks(7, 8, 3)) == torch.device("cpu")
    assert choose_device("cuda:2", Ranks()) == torch.device("cuda:2")
    with pytest.raises(ConfigError, match="is cuda:2, but 8 processes train"):
        choose_device("cuda:2", Ranks(7, 8, 3))
    with pytest.raises(ConfigError, match="'cuda:4' is not available here"):
        choose_device("cuda", Ranks(7, 8, 4))


@pytest.mark.parametrize("argument", ["--local_rank=1", "--local-rank=1"])
def test_launchers_argument_is_taken_out(argument: str) -> None:
    assert without_local_rank([argument, "train", "x.yaml"]) == ["train", "x.yaml"]


def test_errors_that_echo_another_ranks() -> None:
    assert is_peer_failure(RuntimeError("[pair.cc:547] gloo: Connection closed by peer [127.0.0.1]:4711"))
    assert not is_peer_failure(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_peer_failure(ValueError("gloomy"))


def test_a_script_that_ends_leaves_no_group_behind() -> None:
    """Its threads would abort the interpreter's end once in a while; what was registered first is called last."""
    script = (
        "import atexit, torch, torch.distributed as dist\n"
        "atexit.register(lambda: print('left' if not dist.is_initialized() else 'still there'))\n"
        "from umbel.runtime.ranks import ALONE, init_process_group\n"
        "init_process_group(ALONE, torch.device('cpu'), 5)\n"
        "assert dist.is_initialized()\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (0, "left"), ended.stderr
