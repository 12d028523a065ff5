"""Plain text tables for stdout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from umbel.text import printable


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, the first left-aligned, the others too; a rule under the header."""
    header, rows = [printable(cell) for cell in header], [[printable(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def scores_table(scores: Mapping[str, float]) -> str:
    """One line a metric, the overall score last."""
    rows = [(key, f"{value:.4f}") for key, value in scores.items() if key != "score"]
    if "score" in scores:
        rows.append(("score", f"{scores['score']:.4f}"))
    return text_table(("metric", "value"), rows)
