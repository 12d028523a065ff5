"""A data report as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from umbel.io.text import printable, text_table
from umbel.workflows.check.check import DataReport

FORMAT = 1

LINES_A_KIND = 20  # of each kind in the text; JSON has all


def to_json(report: DataReport) -> dict[str, Any]:
    """The whole report: counts, and every finding."""
    return {
        "format": FORMAT,
        "samples": [{"task": task, "split": split, "count": n} for (task, split), n in report.samples.items()],
        "files": report.files,
        "seconds": round(report.seconds, 2),
        "images_per_second": round(report.files / max(report.seconds, 1e-9), 1),
        "counts": dict(Counter(finding.severity for finding in report.findings)),
        "kinds": dict(Counter(finding.kind for finding in report.findings)),
        "findings": [asdict(finding) for finding in report.findings],
    }


def to_text(report: DataReport) -> str:
    """One line a finding, a table of the kinds, and what was read."""
    return "\n".join(_lines(report))


def _lines(report: DataReport) -> Iterator[str]:
    shown: Counter[tuple[str, str]] = Counter()
    for finding in report.findings:
        key = (finding.severity, finding.kind)
        shown[key] += 1
        if finding.severity == "note" or shown[key] > LINES_A_KIND:
            continue
        place = "/".join(part for part in (finding.task, finding.split) if part)
        remedy = f" ({finding.remedy})" if finding.remedy else ""
        yield printable(f"{finding.severity} {finding.kind} [{place}] {finding.file}: {finding.message}{remedy}")
    if shown:
        kinds = {(finding.severity, finding.kind): finding for finding in reversed(report.findings)}
        rows = [
            (severity, kind, str(count), kinds[severity, kind].remedy, kinds[severity, kind].file)
            for (severity, kind), count in shown.items()
        ]
        yield ""
        yield text_table(("severity", "kind", "count", "remedy", "first file"), rows)
    if any(count > LINES_A_KIND for count in shown.values()):
        yield f"of each kind the first {LINES_A_KIND} are listed; --json FILE lists all"
    yield ""
    samples = [(task, split, str(count)) for (task, split), count in report.samples.items()]
    yield text_table(("task", "split", "samples"), samples)
    rate = report.files / max(report.seconds, 1e-9)
    yield f"{report.files:,} image files in {report.seconds:.1f} s, {rate:.0f} images/s"
    counts = Counter(finding.severity for finding in report.findings)
    yield ", ".join(f"{counts[severity]} {severity}s" for severity in ("error", "warning", "note"))
