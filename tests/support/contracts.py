"""The contract classes of the built-in tasks, for tests that break one on purpose."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).resolve().parents[1] / "contract"


def contract_of(kind: str) -> Any:
    """The class of `tests/contract/test_KIND_contract.py`; test files are no modules that can be imported by name."""
    path = _FOLDER / f"test_{kind}_contract.py"
    spec = importlib.util.spec_from_file_location(f"contract_of_{kind}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, f"Test{kind.capitalize()}")
