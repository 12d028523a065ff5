"""Words and numbers of progress, shared by every observer that prints."""

from __future__ import annotations

from collections.abc import Mapping

from umbel.contract.types import Losses


def losses_text(losses: Mapping[str, Losses]) -> str:
    """ "road 1.234  cars 0.567"."""
    return "  ".join(f"{name} {float(value.total):.4f}" for name, value in losses.items())


def scores_text(scores: Mapping[str, float]) -> str:
    """ "score 0.7123  road/miou 0.6120 ..."."""
    return "  ".join(f"{key} {value:.4f}" for key, value in sorted(scores.items(), key=lambda item: item[0] != "score"))


def duration_text(seconds: float) -> str:
    """ "1:02:03" or "2:03"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
