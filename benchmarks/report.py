"""What a benchmark prints: a table for people, then one line of JSON with its claims."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from umbel.io.text import text_table


@dataclass(frozen=True)
class Claim:
    """A figure and what it should be.

    Args:
        claim: what is measured.
        value: the figure.
        target: the figure it is held against; None where there is none.
        at_most: the target is an upper bound, else a lower one.
    """

    claim: str
    value: float
    target: float | None = None
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.at_most else self.value >= self.target


def publish(benchmark: str, header: Sequence[str], rows: Sequence[Sequence[str]], claims: Sequence[Claim]) -> None:
    """Print the table of a benchmark, its claims, and both as one JSON line."""
    print(text_table(header, rows))
    for claim in claims:
        bound = "" if claim.target is None else f" (target {'<=' if claim.at_most else '>='} {claim.target:g})"
        print(f"{claim.claim}: {claim.value:.3g}{bound}")
    content = {
        "benchmark": benchmark,
        "header": list(header),
        "rows": [list(row) for row in rows],
        "claims": [asdict(claim) | {"met": claim.met} for claim in claims],
    }
    print(json.dumps(content))


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f}"
