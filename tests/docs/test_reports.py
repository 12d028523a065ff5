"""The commands and the reporter of docs/reports.md do what the page says."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from toys import TOY_MODULE, TOY_RECIPE

import umbel
from umbel.cli import main


def blocks(text: str, language: str) -> list[str]:
    """Fenced code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "reports.md").read_text(encoding="utf-8")


def test_commands_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    info = tmp_path / "site" / "toys_for_docs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys-for-docs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[umbel.v1]\ntoys = toys_for_docs\n")
    (tmp_path / "site" / "toys_for_docs.py").write_text(TOY_MODULE)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(TOY_RECIPE)
    told = {}
    for line in filter(None, "\n".join(blocks(page, "sh")).splitlines()):
        main(shlex.split(line, comments=True)[1:])
        told[line.split("  ")[0]] = capsys.readouterr()
    quiet = told["umbel train recipe.yaml --out runs/second --quiet"]
    assert "first/closeness" in quiet.out
    assert "step" not in quiet.err
    lines = told["umbel train recipe.yaml --out runs/third --json"].out.splitlines()
    events = [json.loads(line)["event"] for line in lines]
    assert events == ["started", *["step"] * 12, "evaluated", "finished"]
    for written in ("runs/first/report.html", "runs/second/report.json", "both.html", "runs/comparison/compare.json"):
        assert Path(written).stat().st_size > 500
    assert "Time per step" in Path("runs/third/report.html").read_text()
    assert "delta-m" in told["umbel compare recipe.yaml --steps 6 --seeds 0,1 --out runs/comparison"].out


def test_the_reporter_works_as_shown(page: str) -> None:
    (source,) = blocks(page, "python")
    names: dict[str, object] = {}
    exec(compile(source, "reports.md", "exec"), names)

    class Drawer:
        def draw(self, image: np.ndarray, shown: float) -> np.ndarray:
            return image

    reporter = names["SizeReporter"](Drawer())  # type: ignore[operator]
    for width in (20, 40):
        sample = umbel.Sample(np.zeros((10, width, 3), np.uint8), 0.5, str(width), (10, width))
        reporter.add(sample, width / 40)
    table, worst = reporter.figures()
    assert table.rows == [["mean width", 30.0]]
    assert [example.caption for example in worst.examples] == ["40  minus error -0.50", "20  minus error -0.00"]
