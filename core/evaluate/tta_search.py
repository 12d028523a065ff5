"""Choosing scales and flip for a cost: greedy, from the plain single view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from umbel.config.build import with_variant
from umbel.contract.errors import ConfigError
from umbel.contract.task import Task
from umbel.contract.task_config import ORIGINAL, TtaConfig, TtaVariant
from umbel.contract.types import Sample, Size
from umbel.evaluate.tta_table import Row, evaluate_variants, pixels_of
from umbel.runtime.base import Runtime

MOST = 128  # combinations of a search; all are merged for every image

Choice = tuple[frozenset[float], bool]  # scales, hflip

START: Choice = (frozenset({1.0}), False)


@dataclass(frozen=True)
class Search:
    """What a search found.

    Args:
        steps: the plain view, then what was chosen in each step; the last is the result.
        rows: every combination within the budget.
    """

    steps: list[Row]
    rows: list[Row]


def search(
    runtime: Runtime,
    task: Task[Any],
    *,
    scales: Sequence[float],
    budget: float,
    dataset: Dataset[Sample],
    limit: int | None,
) -> Search:
    """Add the scale or the flip that raises the main metric most, until the budget is used up or nothing raises it.

    Every combination within the budget is merged from views that are run once, so that the data is read once. The cost
    of a combination is judged on the first image.

    Args:
        runtime: gives the forward pass.
        task: as the recipe has it; its options stay.
        scales: factors on the test size to choose from; 1 is always among them.
        budget: most pixels of all views, relative to the plain single view.
        dataset: validation data.
        limit: only so many images, spread evenly.

    Raises:
        ConfigError: for more than 128 combinations.
    """
    first = dataset[0].image
    choices = within_budget(task, scales, budget, (int(first.shape[0]), int(first.shape[1])))
    if len(choices) > MOST:
        raise ConfigError(
            f"{len(choices)} combinations of {len(set(scales) | {1.0})} scales cost at most {budget:g}",
            where=f"tasks.{task.name}",
            hint=f"at most {MOST} are tried: give fewer --scales or a lower --budget",
        )
    variants = [TtaVariant(_name(choice), _config(choice)) for choice in choices]
    rows = evaluate_variants(runtime, task, variants, dataset, limit)
    return Search(climb(dict(zip(choices, rows, strict=True)), task.main_metric), rows)


def within_budget(task: Task[Any], scales: Sequence[float], budget: float, size: Size) -> list[Choice]:
    """Combinations that cost at most `budget` on an image of this size, the plain view first."""
    plain = pixels_of(with_variant(task, TtaVariant(ORIGINAL)).views(size))
    found, waiting = [START], [START]
    while waiting and len(found) <= MOST:
        for choice in _larger(waiting.pop(0), scales):
            pixels = pixels_of(with_variant(task, TtaVariant(_name(choice), _config(choice))).views(size))
            if choice not in found and pixels <= budget * plain:
                found.append(choice)
                waiting.append(choice)
    return found


def climb(rows: Mapping[Choice, Row], metric: str) -> list[Row]:
    """The steps of the greedy search over rows; of equal gains the cheaper is taken, and an undefined score is none."""
    scales = sorted({scale for choice in rows for scale in choice[0]})
    steps, here = [rows[START]], START
    while True:
        larger = [choice for choice in _larger(here, scales) if choice in rows]
        better = [choice for choice in larger if rows[choice].scores[metric] > rows[here].scores[metric]]
        if not better:
            return steps
        here = max(better, key=lambda choice: (rows[choice].scores[metric], -rows[choice].cost))
        steps.append(rows[here])


def _larger(choice: Choice, scales: Sequence[float]) -> Iterator[Choice]:
    chosen, hflip = choice
    yield from ((chosen | {scale}, hflip) for scale in sorted(set(scales) - chosen))
    if not hflip:
        yield chosen, True


def _config(choice: Choice) -> TtaConfig:
    return TtaConfig(scales=sorted(choice[0]), hflip=choice[1])


def _name(choice: Choice) -> str:
    if choice == START:
        return ORIGINAL
    return " ".join(f"{scale:g}" for scale in sorted(choice[0])) + (" +Flip" if choice[1] else "")
