"""What docs/scaling.md shows: shell that parses, a plan that runs, and the arithmetic behind its tables."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from umbel.cli import main
from umbel.model.peaks import named_peak
from umbel.workflows.plan.states import Sharding, Weights, model_states
from umbel.workflows.plan.traffic import step_traffic

PARAMETERS = 301_039_536  # of the recipe traffic, with 19, 196 and 45 classes
SMALL = 1_983_000  # of these, in parameters of fewer than 100,000 elements


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "scaling.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_shell_parses_and_starts_umbel_as_a_module(page: str) -> None:
    shell = blocks(page, "sh") + blocks(page, "bash")
    for block in shell:
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
    text = "\n".join(shell).replace("\\\n", " ")
    starts = [line for line in text.splitlines() if "torchrun --" in line or line.startswith("deepspeed ")]
    assert len(starts) >= 5
    for line in starts:
        assert re.search(r"(--module|-m) umbel train recipe\.yaml --out runs/", line), line


@pytest.mark.slow
def test_the_plan_prints_what_the_page_says(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    (command,) = (block for block in blocks(page, "sh") if "umbel plan" in block)
    classes = {"road": 19, "cars": 196, "signs": 45}
    for task, count in classes.items():
        assert f'"tasks.{task}.options.class_names=[$(seq -s, {count})]"' in command
    overrides = [
        f"tasks.{task}.options.class_names=[{','.join(str(n + 1) for n in range(count))}]"
        for task, count in classes.items()
    ]
    assert "umbel plan traffic --gpus 6 --memory 80G --device A100 " in command
    main(["plan", "traffic", "--gpus", "6", "--memory", "80G", "--device", "A100", *overrides])
    printed = capsys.readouterr().out
    for row in re.findall(r"^\| (road|cars|signs) \| (\d) \| (\S+ GiB)", page, re.MULTILINE):
        assert re.search(rf"^{row[0]} +{row[1]} +\S+ +{re.escape(row[2])} ", printed, re.MULTILINE), row
    assert "Use ZeRO 0: 13.17 GiB of 72.00 GiB" in printed
    work = re.findall(r"^\| (road|cars|signs|all) (\|(?: [\d.]+ \|){5})$", page, re.MULTILINE)
    assert [task for task, _ in work] == ["road", "cars", "signs", "all"]
    for task, numbers in work:
        columns = r" +".join(re.escape(number) for number in re.findall(r"[\d.]+", numbers))
        assert re.search(rf"^{task} +{columns}$", printed, re.MULTILINE), (task, numbers)
    (a100,) = re.findall(r"^\| A100 \| (\d+) TFLOP/s \| (.*) s \| (.*) s \| (.*) s \|$", page, re.MULTILINE)
    peak, *seconds = a100
    shown = ", ".join(f"{value} s at {share} %" for value, share in zip(seconds, (30, 40, 50), strict=True))
    assert f"A step on A100 (peak {peak} TFLOP/s in bf16): {shown}" in printed


def test_seconds_a_step_are_those_of_the_table_of_peaks(page: str) -> None:
    rows = re.findall(r"^\| ([AHL]\d+)[^|]*\| (\d+) TFLOP/s \| (.*) s \| (.*) s \| (.*) s \|$", page, re.MULTILINE)
    assert [row[0] for row in rows] == ["A100", "H100", "L4"]
    (total,) = re.findall(r"^\| all \|.* ([\d.]+) \|$", page, re.MULTILINE)
    for device, peak, *seconds in rows:
        assert named_peak(device).bf16 == float(peak)
        for text, share in zip(seconds, (0.3, 0.4, 0.5), strict=True):
            assert float(text) == pytest.approx(float(total) / (share * float(peak)), rel=3e-3)


def test_the_tables_are_those_of_the_arithmetic(page: str) -> None:
    rows = re.findall(
        r"^\| ([^|]*)\| (\d) \| ([\d.]+) GiB \| ([\d.]+) GiB \| ([\d.]+) GiB \| (\S+)", page, re.MULTILINE
    )
    assert len(rows) == 12
    small = (99_150,) * (SMALL // 99_150)
    large, more = divmod(PARAMETERS - sum(small), 100_000)
    weights = Weights((*small, *[100_000] * (large - 1), 100_000 + more))
    cut = 2 * 21_233_664 * 4 / 2**30  # at stage 2 the tensors at both ends of a share are held whole
    elements = {"": 196_230_000, "road": 38_700_000, "cars": 21_800_000, "signs": 44_310_000}
    ranks, nodes = 0, 1
    for devices, stage_text, states, total, sent, between in rows:
        if devices.strip():
            ranks = int(devices.split()[0].replace(",", ""))
            nodes = int(found[1]) if (found := re.search(r"in (\d+) nodes", devices)) else 1
        stage = int(stage_text)
        expected = model_states(weights, stage, ranks, Sharding()).total / 2**30
        assert -0.011 <= float(states) - expected <= (cut if stage == 2 else 0.011)
        assert float(total) == pytest.approx(float(states) + 8.5, abs=0.02)
        assert float(sent) == pytest.approx(step_traffic(elements, stage, ranks) / 2**30, abs=0.011)
        network = step_traffic(elements, stage, nodes) / 2**30
        assert (0.0 if between == "-" else float(between)) == pytest.approx(network, abs=0.011)


def test_formulas_of_the_stages(page: str) -> None:
    weights, sharding, ranks = Weights((1000,) * 1000), Sharding(persistent=0, bucket=0), 8
    shown = {0: 16.0, 1: 8 + 12 / ranks, 2: 4 + 16 / ranks, 3: 20 / ranks}
    for stage, factor in shown.items():
        assert model_states(weights, stage, ranks, sharding).total == pytest.approx(factor * 10**6, rel=1e-6)
    for text in ("| 16 P |", "| 8 P + 12 P / N |", "| 4 P + 16 P / N |", "| 20 P / N |"):
        assert text in page
