"""mIoU of 1280x720 label maps of 19 classes against torchmetrics at its defaults: the same value, how much sooner."""

from __future__ import annotations

import warnings

import torch
from measure import arguments, medians, ratio, side_by_side
from report import Claim, publish
from torchmetrics.classification import MulticlassJaccardIndex

from umbel.tasks.segmentation.metric import MeanIoU
from umbel.tasks.segmentation.prediction import LabelMap

CLASSES, IGNORE = 19, 255


def make(size: tuple[int, int], distinct: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Pairs of label maps: blocks of classes with an ignored border, and predictions wrong at every fifth pixel."""
    generator = torch.Generator().manual_seed(0)
    pairs = []
    for _ in range(distinct):
        coarse = torch.randint(0, CLASSES, (size[0] // 16 + 1, size[1] // 16 + 1), generator=generator)
        truth = coarse.repeat_interleave(16, 0).repeat_interleave(16, 1)[: size[0], : size[1]].to(torch.uint8)
        wrong = torch.randint(0, CLASSES, size, generator=generator, dtype=torch.uint8)
        predicted = torch.where(torch.rand(size, generator=generator) < 0.2, wrong, truth)
        truth = truth.clone()
        truth[:8] = IGNORE
        pairs.append((predicted, truth))
    return pairs


def main() -> None:
    quick = arguments(__doc__).quick
    warnings.filterwarnings("ignore")
    pairs = make((96, 128) if quick else (720, 1280), 2 if quick else 10)
    images = 4 if quick else 1000
    found: dict[str, float] = {}

    def by_umbel() -> None:
        metric = MeanIoU([str(n) for n in range(CLASSES)], IGNORE)
        for n in range(images):
            predicted, truth = pairs[n % len(pairs)]
            metric.update([LabelMap(predicted)], [truth])
        found["umbel"] = float(metric.compute()["miou"])

    def by_torchmetrics() -> None:
        metric = MulticlassJaccardIndex(CLASSES, ignore_index=IGNORE)
        for n in range(images):
            predicted, truth = pairs[n % len(pairs)]
            metric.update(predicted[None].int(), truth[None].int())
        found["torchmetrics"] = float(metric.compute())

    times = side_by_side({"umbel": by_umbel, "torchmetrics": by_torchmetrics}, 1, 0)
    rows = [(name, f"{seconds:.2f}", f"{found[name]:.7f}") for name, seconds in medians(times).items()]
    claims = [
        Claim("torchmetrics / umbel", ratio(times, "torchmetrics", "umbel"), 3, at_most=False),
        Claim("difference of the results", abs(found["umbel"] - found["torchmetrics"]), 1e-6),
    ]
    publish("miou", ("metric", "s", "mIoU"), rows, claims)


if __name__ == "__main__":
    main()
