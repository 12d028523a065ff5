"""What a page says of the work of a run on GPUs, from records made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_runs import write_run

from umbel.report.page import run_page
from umbel.report.run_report import open_report

A100 = {"device": "NVIDIA A100-SXM4-80GB", "precision": "bf16"}


def page_of(folder: Path, environment: dict[str, str], **kept: float) -> str:
    """The page of a run whose step takes 0.56 s, with some of its record replaced."""
    run = write_run(folder / "run", ["a", "b"])
    stored = json.loads((run / "report.json").read_text())
    stored |= {"environment": environment, "step_flops": 29.2e12, "step_images": 66.0, **kept}
    (run / "report.json").write_text(json.dumps(stored))
    return run_page(open_report(run))


def test_share_of_the_peak(tmp_path: Path) -> None:
    page = page_of(tmp_path, A100)
    seconds = 0.01 + 0.2 + 0.3 + 0.05
    assert f">{29.2 / seconds / 312:.1%}<" in page  # 16.7 %
    for shown in ("Work per step", ">29.2<", f">{29.2 / seconds:.1f}<", ">118<"):
        assert shown in page
    assert "The peak of A100 is 312 TFLOP/s in bf16." in page


def test_fp32_has_a_peak_of_its_own(tmp_path: Path) -> None:
    page = page_of(tmp_path, A100 | {"precision": "fp32"}, step_flops=0.56 * 9.75e12)
    assert ">50.0%<" in page
    assert "19.5 TFLOP/s in fp32, without TF32" in page


@pytest.mark.parametrize("device", ["NVIDIA GeForce RTX 2080 Ti", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", ""])
def test_an_unknown_device_has_no_share(tmp_path: Path, device: str) -> None:
    page = page_of(tmp_path, A100 | {"device": device})
    assert ">29.2<" in page
    assert ">118<" in page
    assert "share of the peak" not in page


def test_what_was_not_counted_is_left_out(tmp_path: Path) -> None:
    page = page_of(tmp_path, A100, step_flops=0.0)
    assert ">118<" in page
    assert "TFLOP" not in page


def test_a_run_on_a_cpu_shows_nothing(tmp_path: Path) -> None:
    page = page_of(tmp_path, {"device": "CPU", "precision": "fp32"}, step_flops=0.0, step_images=0.0)
    assert "Time per step" in page
    assert "Work per step" not in page


def test_records_from_before_show_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["a", "b"])
    stored = json.loads((run / "report.json").read_text())
    del stored["step_flops"], stored["step_images"]
    (run / "report.json").write_text(json.dumps(stored))
    assert "Work per step" not in run_page(open_report(run))
