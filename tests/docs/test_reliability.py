"""The commands of docs/reliability.md about data run as shown, and the kinds it lists are those of the corpus."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from corpus.faults import FAULTS

from umbel.cli import main
from umbel.recipes.streets.dataset import Counts, render_dataset


@pytest.fixture(scope="module")
def section(repository: Path) -> str:
    page = (repository / "docs/reliability.md").read_text(encoding="utf-8")
    return page.partition("## Bad data")[2].partition("\n## ")[0]


def test_commands_run(section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    render_dataset(tmp_path / "demo/data", seed=0, counts=Counts(2, 1, 10, 10, 2, 1))
    monkeypatch.chdir(tmp_path)
    lines = [line for block in re.findall(r"```bash\n(.*?)```", section, re.S) for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("umbel ")]
    assert len(commands) == 2
    for command in commands:
        with pytest.raises(SystemExit) as ended:
            main(command[1:])
        assert ended.value.code in (0, 1)  # so small a set lacks classes
    assert (tmp_path / "report.json").is_file()


def test_kinds_are_listed(section: str) -> None:
    kinds = {kind for fault in FAULTS.values() for kind in fault.kinds}
    assert {kind for kind in kinds if f"`{kind}`" not in section} == set()
