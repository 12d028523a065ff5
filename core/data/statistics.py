"""Tables that describe a data set: what `umbel check` prints and a report shows. A task fills them, core only shows."""

from __future__ import annotations

from collections.abc import Sequence

from umbel.contract.dataset_report import Statistic
from umbel.contract.types import Size

RARE = 0.1  # of the mean class's share

STRETCHED = 1.5  # beyond this, shapes look different from what a pretrained backbone has seen


def evenly_spaced(length: int, count: int) -> list[int]:
    """At most `count` indices of a data set of `length`, evenly spaced from the first on."""
    count = min(length, count)
    return [index * length // count for index in range(count)]


def class_balance(title: str, names: Sequence[str], counts: Sequence[int], what: str) -> Statistic:
    """Count and share of every class; classes without any are a finding, and so is one much rarer than the rest.

    Args:
        title: of the table.
        names: class names by id.
        counts: by class id.
        what: that which is counted, such as "images".
    """
    total = sum(counts)
    shares = [count / total if total else 0.0 for count in counts]
    absent = [name for name, count in zip(names, counts, strict=True) if count == 0]
    present = [share for share in shares if share > 0]
    rare = [
        f"{name} ({share:.2%})"
        for name, share in zip(names, shares, strict=True)
        if 0 < share < RARE * sum(present) / len(present)
    ]
    findings = []
    if absent:
        findings.append(f"no {what} of {', '.join(absent)}")
    if rare:
        findings.append(f"few {what} of {', '.join(rare)}: less than a tenth of the mean class")
    rows = tuple((name, count, share) for name, count, share in zip(names, counts, shares, strict=True))
    return Statistic(title, ("class", what, "share"), rows, tuple(findings))


def image_sizes(sizes: Sequence[Size], input_size: Size) -> Statistic:
    """Smallest, median and largest sides of images, and the factor by which the input size changes the median.

    Args:
        sizes: height and width of some images, one or more.
        input_size: height and width of the network input.
    """
    rows = []
    factors = []
    for side, index in (("height", 0), ("width", 1)):
        values = sorted(size[index] for size in sizes)
        median = values[len(values) // 2]
        factors.append(input_size[index] / median)
        rows.append((side, values[0], median, values[-1], input_size[index], factors[-1]))
    findings = []
    stretch = max(factors) / min(factors)
    if stretch > STRETCHED:
        findings.append(f"the input size stretches the median image by {stretch:.2f} along one side")
    columns = ("side", "smallest", "median", "largest", "input", "factor")
    return Statistic(f"sizes of {len(sizes)} images in pixels", columns, tuple(rows), tuple(findings))
