"""Deterministic kernels: on inside the block, and everything as it was after it."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch.backends import cudnn

from umbel.contract.errors import ConfigError
from umbel.runtime.deterministic import VARIABLE, deterministic_kernels


def settings() -> dict[str, Any]:
    return {
        "mode": torch.are_deterministic_algorithms_enabled(),
        "warns": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn": cudnn.deterministic,
        "benchmark": cudnn.benchmark,
        "workspace": os.environ.get(VARIABLE),
    }


def failing(found: list[dict[str, Any]]) -> None:
    found.append(settings())
    raise ZeroDivisionError


INSIDE = {"mode": True, "warns": False, "cudnn": True, "benchmark": False, "workspace": ":4096:8"}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_all_is_set_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn, "benchmark", True)
    before, settings_of_inner = settings(), list[dict[str, Any]]()
    with deterministic_kernels(True):
        with pytest.raises(ZeroDivisionError), deterministic_kernels(True):
            failing(settings_of_inner)
        assert settings() == INSIDE
    assert settings_of_inner == [INSIDE]
    assert settings() == before
    assert before["benchmark"]


def test_a_mode_that_warns_is_put_back() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with deterministic_kernels(True):
            assert settings() == INSIDE
        assert settings() == {**INSIDE, "warns": True, "cudnn": False, "workspace": None}
    finally:
        torch.use_deterministic_algorithms(False)


def test_without_it_nothing_is_touched() -> None:
    before = settings()
    with deterministic_kernels(False):
        assert settings() == before
    assert settings() == before


def test_a_workspace_of_the_environment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, ":16:8")
    with deterministic_kernels(True):
        assert settings() == {**INSIDE, "workspace": ":16:8"}
    assert os.environ[VARIABLE] == ":16:8"


def test_a_workspace_that_does_not_repeat_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, ":4096:2")
    before = settings()
    refused = r"train.deterministic: CUBLAS_WORKSPACE_CONFIG is ':4096:2' .*unset it"
    with pytest.raises(ConfigError, match=refused), deterministic_kernels(True):
        pytest.fail("entered")
    assert settings() == before
