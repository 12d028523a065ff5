"""Names from data do nothing to a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import unicodedata
from pathlib import Path

import pytest
from attacks.names import ALL, FORMULAS, TERMINAL
from hypothesis import given
from hypothesis import strategies as st

from umbel.cli import main
from umbel.io.text import csv_cell, printable, text_table

ACTING = ("Cc", "Cs", "Cf")


@pytest.mark.parametrize("name", ALL)
def test_nothing_acts_on_the_terminal(name: str) -> None:
    shown = printable(name)
    assert not any(unicodedata.category(char) in ACTING for char in shown)
    shown.encode("utf-8")
    table = text_table(("class", "iou"), [(name, "0.5")])
    assert len(table.split("\n")) == 3


@pytest.mark.parametrize("name", TERMINAL)
def test_what_was_hidden_is_shown(name: str) -> None:
    assert "\\" in printable(name)


@given(st.text(st.characters(codec="utf-8", exclude_categories=ACTING)))
def test_honest_text_is_left_alone(text: str) -> None:
    assert printable(text) == text


def test_formulas_are_text_in_a_spreadsheet() -> None:
    for name in FORMULAS:
        assert csv_cell(name) == f"'{name}"
    assert csv_cell("1.0x + flip") == "1.0x + flip"


def test_errors_and_logs_are_printable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["show", str(tmp_path / "\x1b[2Jx.yaml")])
    text = capsys.readouterr().err
    assert "\x1b" not in text
    assert "\\x1b" in text


def test_table_of_variants_has_no_formula(tmp_path: Path) -> None:
    from umbel.evaluate.tta_report import write_csv
    from umbel.evaluate.tta_table import Row

    names = list(Row.__dataclass_fields__)
    values = dict.fromkeys(names, 0) | {"name": FORMULAS[0], "scores": {"top1": 0.5}}
    write_csv(tmp_path / "t.csv", {"cars": [Row(**values)]}, {"cars": "top1"})
    rows = list(csv.reader((tmp_path / "t.csv").read_text().splitlines()))
    assert not any(cell.startswith(("=", "+", "@")) for row in rows for cell in row)
