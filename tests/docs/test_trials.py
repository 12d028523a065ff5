"""The page of trials names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path


def find(repository: Path, file: str) -> Path:
    """A file of tests/, or one of a plugin's own tests."""
    mirrored = repository / "tests" / file
    return mirrored if mirrored.is_file() else repository / file


def test_every_named_test_exists(repository: Path) -> None:
    text = (repository / "docs" / "trials.md").read_text()
    named = re.findall(r"`([\w/-]+\.py)::(\w+)`", text)
    rows = [line for line in text.partition("## Not good yet")[0].splitlines() if line.startswith("| ")]
    assert len(named) == len([row for row in rows if not row.startswith("| situation")])
    assert len(named) > 45
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not re.search(rf"^( *)def {test}\(", find(repository, file).read_text(), re.MULTILINE)
    ]
    assert not missing
