"""Who a process is, what its launcher says, and which errors only echo another rank's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import umbel.training.prepare as prepare_module
from umbel.cli import without_local_rank
from umbel.config.load import load_recipe
from umbel.contract.errors import ConfigError, is_peer_failure
from umbel.registry.plugins import Plugins
from umbel.runtime.build import build
from umbel.runtime.device import choose_device
from umbel.runtime.ranks import Ranks, init_process_group, ranks_from_env
from umbel.testing.gpu import pretended_gpu
from umbel.training.prepare import prepare


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


def test_a_process_that_sees_one_device_alone_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM may show each task its own GPU: CUDA_VISIBLE_DEVICES=3 and LOCAL_RANK=3, and the one there is 0."""
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("auto", Ranks(3, 4, 3)) == torch.device("cuda:0")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")  # two processes of torchrun must not share it without a word
    assert choose_device("auto", Ranks(0, 2, 0)) == torch.device("cuda:0")
    with pytest.raises(ConfigError, match="'cuda:1' is not available here"):
        choose_device("auto", Ranks(1, 2, 1))


def test_the_chosen_device_is_current_before_the_processes_join(
    monkeypatch: pytest.MonkeyPatch, recipe_file: Path, new_plugins: Callable[[], Plugins]
) -> None:
    """NCCL, threads that pin memory and compiled kernels ask for no device and mean the current one."""

    class JoinedError(Exception):
        pass

    order: list[str] = []

    def join(ranks: Ranks, device: torch.device, timeout: float) -> None:
        order.append(f"join on {device}")
        raise JoinedError

    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: order.append(f"current: {device}"))
    monkeypatch.setattr(prepare_module, "init_process_group", join)
    loaded = load_recipe(str(recipe_file), ("train.device=auto",), new_plugins())
    with pytest.raises(JoinedError):
        prepare(loaded, recipe_file.parent / "run")
    assert order == ["current: cuda:1", "join on cuda:1"]


@pytest.mark.parametrize(("name", "set_to"), [("cuda:0", [torch.device("cuda:0")]), ("cuda", []), ("cpu", [])])
def test_a_lone_process_makes_the_device_it_names_current(
    monkeypatch: pytest.MonkeyPatch,
    recipe_file: Path,
    new_plugins: Callable[[], Plugins],
    name: str,
    set_to: list[torch.device],
) -> None:
    with pretended_gpu():
        seen: list[torch.device] = []
        monkeypatch.setattr(torch.cuda, "set_device", seen.append)
        loaded = load_recipe(str(recipe_file), (f"train.device={name}",), new_plugins())
        _, model = build(loaded.typed, loaded.plugins, pretrained=False)
        assert {parameter.device.type for parameter in model.parameters()} == {name.split(":")[0]}
    assert seen == set_to


def test_deepspeed_is_told_the_number_of_the_device() -> None:
    """It makes the device LOCAL_RANK the current one: with one visible device that number may not exist."""
    pytest.importorskip("deepspeed")
    script = (
        "import os, deepspeed, torch\n"
        "from umbel.runtime.deepspeed_library import import_deepspeed\n"
        "deepspeed.init_distributed = lambda **named: None\n"
        "for before, device in (('3', 'cuda:0'), ('1', 'cpu'), ('', 'cuda:2'), ('', 'cpu')):\n"
        "    os.environ.pop('LOCAL_RANK', None)\n"
        "    os.environ.update({'LOCAL_RANK': before} if before else {})\n"
        "    import_deepspeed(torch.device(device))\n"
        "    print('number', os.environ['LOCAL_RANK'])\n"
    )
    environment = {**os.environ, "DS_ACCELERATOR": "cpu"}
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert re.findall(r"^number (.*)$", ended.stdout, re.MULTILINE) == ["0", "1", "2", "0"]


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
