"""Plain text tables for stdout."""

from __future__ import annotations

from collections.abc import Mapping

from umbel.io.text import text_table


def scores_table(scores: Mapping[str, float]) -> str:
    """One line a metric, the overall score last."""
    rows = [(key, f"{value:.4f}") for key, value in scores.items() if key != "score"]
    if "score" in scores:
        rows.append(("score", f"{scores['score']:.4f}"))
    return text_table(("metric", "value"), rows)
