"""When a run is compiled, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from umbel.contract.errors import ConfigError
from umbel.runtime import compiler
from umbel.runtime.compiler import chooses_compiler, missing_tools

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "has_triton", lambda: True)
    monkeypatch.setattr(compiler, "_found", lambda *commands: True)
    monkeypatch.setattr(Path, "is_file", lambda path: True)


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize(
    ("wanted", "device", "expected"),
    [("auto", CPU, False), ("auto", CUDA, True), ("on", CPU, True), ("on", CUDA, True), ("off", CUDA, False)],
)
def test_the_rule(wanted: str, device: torch.device, expected: bool) -> None:
    assert chooses_compiler(wanted, device, stage=1) is expected


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("stage", [2, 3])
def test_what_zero_takes_apart_is_never_compiled(stage: int) -> None:
    assert not chooses_compiler("auto", CUDA, stage=stage)
    assert not chooses_compiler("off", CUDA, stage=stage)
    with pytest.raises(ConfigError, match=f"stage is {stage}") as caught:
        chooses_compiler("on", CUDA, stage=stage)
    assert caught.value.where == "train.compile"


@pytest.mark.usefixtures("complete")
def test_auto_without_triton_is_off_and_on_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "has_triton", lambda: False)
    assert not chooses_compiler("auto", CUDA, stage=1)
    with pytest.raises(ConfigError, match="Triton"):
        chooses_compiler("on", CUDA, stage=1)


def test_without_a_c_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CC", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(compiler, "has_triton", lambda: True)
    assert missing_tools(CPU) == "a C++ compiler (g++)"
    assert missing_tools(CUDA).startswith("a C compiler (gcc)")
    with pytest.raises(ConfigError, match=r"a C\+\+ compiler \(g\+\+\) is missing to compile for cpu"):
        chooses_compiler("on", CPU, stage=1)


@pytest.mark.usefixtures("complete")
def test_without_the_headers_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    assert missing_tools(CPU).startswith("Python.h")
