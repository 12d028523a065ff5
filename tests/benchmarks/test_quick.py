"""Every benchmark runs, tiny, and publishes what `make bench` reads."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PEERS = {"peers": ("lightning", "accelerate"), "mean_ap": ("pycocotools",), "zero": ("deepspeed",)}


@pytest.fixture(scope="module")
def run_all() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_run_all", ROOT / "benchmarks" / "run_all.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scripts() -> list[str]:
    """Those that publish a table; others print what they found."""
    return sorted(
        p.stem for p in (ROOT / "benchmarks").glob("*.py") if re.search(r"from report import .*publish", p.read_text())
    )


def test_all_scripts_are_run_by_make_bench(run_all: ModuleType) -> None:
    assert sorted(run_all.ALL) == scripts()
    assert "benchmarks/run_all.py" in (ROOT / "Makefile").read_text()


def test_titles_are_one_line(run_all: ModuleType) -> None:
    for name in run_all.ALL:
        assert 10 < len(run_all.title(name)) < 110


def test_the_page_keeps_what_is_written_by_hand(run_all: ModuleType, tmp_path: Path, monkeypatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{run_all.BEGIN}\nold\n{run_all.END}\nbelow\n")
    monkeypatch.setattr(run_all, "PAGE", page)
    claim = {"claim": "a / b", "value": 0.5, "target": 1.0, "at_most": True, "met": True}
    content = {"benchmark": "x", "header": ["what", "ms"], "rows": [["a", "1.0"]], "claims": [claim]}
    run_all.write_figures(run_all.section(content, "Title"))
    assert page.read_text() == (
        f"above\n{run_all.BEGIN}\n### Title (`benchmarks/x.py`)\n| what | ms |\n|---|---|\n| a | 1.0 |\n\n"
        f"- a / b: 0.5 (target <= 1: met)\n{run_all.END}\nbelow\n"
    )


def test_the_page_has_the_marks(run_all: ModuleType) -> None:
    text = run_all.PAGE.read_text()
    assert text.count(run_all.BEGIN) == text.count(run_all.END) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", scripts())
def test_quick(name: str) -> None:
    for package in PEERS.get(name, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    command = [sys.executable, str(ROOT / "benchmarks" / f"{name}.py"), "--quick"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *table, last = done.stdout.strip().splitlines()
    content = json.loads(last)
    assert content["benchmark"] == name
    assert content["rows"]
    assert all(claim["value"] == claim["value"] for claim in content["claims"])  # no NaN
    assert len(table) >= len(content["rows"]) + 2
    exact = [claim for claim in content["claims"] if re.search("difference", claim["claim"])]
    assert all(claim["met"] for claim in exact)  # equality holds at any size
