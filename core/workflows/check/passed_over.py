"""Files among the images that are no image umbel reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from umbel.contract.dataset_report import Finding
from umbel.io.listing import PassedOver


def passed_over_findings(found: Iterable[PassedOver]) -> list[Finding]:
    """One finding for every kind of file, with how many there are and the first of them."""
    kinds: dict[tuple[str, bool], list[PassedOver]] = defaultdict(list)
    for other in dict.fromkeys(found):
        kinds[other.reason, other.perhaps_image].append(other)
    return [
        Finding(
            "passed-over",
            str(min(other.path for other in others)),
            f"is passed over: {reason}" + (f", as {len(others) - 1} more" if len(others) > 1 else ""),
            "convert it to JPEG or PNG, or take it out" if perhaps else "nothing, unless it is an image",
            "warning" if perhaps else "note",
        )
        for (reason, perhaps), others in kinds.items()
    ]
