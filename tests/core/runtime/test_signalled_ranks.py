"""Signals to jobs of two processes: all ranks save the same step and exit with 75, and the resumed run is bit-equal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from toys import TOY_RECIPE
from zero_toys import TESTS, free_port, launch_ranks

from umbel.checkpoint.read import find_checkpoint

pytestmark = pytest.mark.slow

SIGNALLED = """
import os, pathlib, signal, time
import psutil
from toys import BrightTask, TinyBackbone
from umbel import hookimpl

RANK, WHO, TO, NAME = os.environ["RANK"], *os.environ.get("TOY_SIGNAL", "nobody nothing SIGTERM").split()
leave = os._exit

def noted(code):
    pathlib.Path(f"exit-{RANK}").write_text(str(code))
    leave(code)

os._exit = noted

def receivers():
    launcher = psutil.Process(os.getppid())
    if TO == "all":  # as a batch system does; the launcher then sends on what the ranks already have
        return [*launcher.children(recursive=True), launcher]
    return [launcher if TO == "launcher" else psutil.Process()]

class Signalled(BrightTask):
    calls = 0
    def loss(self, output, targets):
        Signalled.calls += 1
        if RANK == WHO and Signalled.calls == 11:  # two tasks, tried once: in the fifth step
            for process in receivers():
                process.send_signal(getattr(signal, NAME))
                time.sleep(0.4)
        if WHO != "nobody" and Signalled.calls > 11:
            time.sleep(0.05)
        return super().loss(output, targets)

@hookimpl
def umbel_tasks():
    return {"bright": Signalled}

@hookimpl
def umbel_backbones():
    return {"tiny": TinyBackbone}
"""
STEPS = 40
TRAIN = ("-m", "umbel", "train", "toy.yaml", f"train.steps={STEPS}", "train.ema_decay=0.8", "train.keep_checkpoints=9")
WEIGHTS = ("model.safetensors", "optimizer.safetensors", "average.safetensors")


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All works in a folder with the toy recipe, where processes find the toys as an installed distribution."""
    home = tmp_path_factory.mktemp("signalled")
    (home / "toy.yaml").write_text(TOY_RECIPE)
    (home / "toy_signalled.py").write_text(SIGNALLED)
    info = home / "toy_signalled-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-signalled\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[umbel.v1]\nmain = toy_signalled\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{home}{os.pathsep}{TESTS}")
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("GLOO_SOCKET_IFNAME", "lo")
        patch.chdir(home)
        yield home


def weights(out: str) -> dict[str, bytes]:
    folder = Path(out) / "checkpoints" / f"step-{STEPS:08d}"
    return {name: (folder / name).read_bytes() for name in WEIGHTS}


@pytest.fixture(scope="module")
def straight() -> dict[str, bytes]:
    """Weights of the run that nobody stopped."""
    results = launch_ranks(2, *TRAIN, "--out", "straight")
    assert [result.returncode for result in results] == [0, 0], results[0].stderr[-3000:]
    return weights("straight")


LAUNCHERS = {
    "torchrun": ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port={port}"),
    "deepspeed": ("-m", "deepspeed.launcher.runner", "--num_gpus", "2", "--master_port={port}", "--module"),
}


def launch(launcher: str, out: str) -> subprocess.CompletedProcess[str]:
    head = [part.format(port=free_port()) for part in LAUNCHERS[launcher]]
    train = TRAIN[1:] if launcher == "deepspeed" else TRAIN
    command = [sys.executable, *head, *train, "--out", out]
    return subprocess.run(command, capture_output=True, text=True, timeout=400)


@pytest.mark.parametrize(
    ("launcher", "who", "to", "name", "code"),
    [
        ("torchrun", 1, "itself", "SIGUSR1", 1),
        ("torchrun", 0, "launcher", "SIGTERM", 1),
        ("torchrun", 1, "all", "SIGTERM", 1),
        ("deepspeed", 1, "itself", "SIGTERM", 75),
        ("deepspeed", 0, "all", "SIGTERM", 1),
    ],
)
def test_signal_to_a_launched_job(
    straight: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, launcher: str, who: int, to: str, name: str, code: int
) -> None:
    out = f"{launcher}-{who}-{to}-{name}"
    monkeypatch.setenv("TOY_SIGNAL", f"{who} {to} {name}")
    for path in Path().glob("exit-*"):
        path.unlink()
    stopped = launch(launcher, out)
    assert stopped.returncode == code, stopped.stderr[-3000:]
    assert [Path(f"exit-{rank}").read_text() for rank in (0, 1)] == ["75", "75"], stopped.stderr[-3000:]
    found = find_checkpoint(Path(out) / "checkpoints")
    assert 5 <= found.step < STEPS
    assert to != "itself" or found.step == 5
    for rank in (0, 1):  # each says where it stopped
        line = f"umbel: rank {rank}: stopped: {out}: {name} after step {found.step} of {STEPS}; a checkpoint is saved"
        assert line in stopped.stderr
    assert found.state["world_size"] == 2
    monkeypatch.delenv("TOY_SIGNAL")
    resumed = launch_ranks(2, *TRAIN, "--out", out, "--resume")
    assert [result.returncode for result in resumed] == [0, 0], resumed[0].stderr[-3000:]
    assert weights(out) == straight
