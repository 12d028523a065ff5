"""Scores of a submission against the truth: predictions are rebuilt and given to the tasks' own metrics."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from umbel import ConfigError, DataError, Recipe, Sample, Task, inferred_options_of, load_datasets, overall_score
from umbel.tasks.classification.prediction import ClassScores
from umbel.tasks.detection.prediction import Detections
from umbel.tasks.segmentation.prediction import LabelMap
from umbel_challenge.collect import sections_of
from umbel_challenge.images import image_key, of_dataset
from umbel_challenge.polygons import Polygons, paint
from umbel_challenge.reader import read_submission, sections_in
from umbel_challenge.submission import BoxEntry, ImageId

LEADERBOARDS = {
    "A": ("seg", "cls", "dec"),
    "B": ("cls", "dec"),
}  # the score is the mean of these sections' main metrics

log = logging.getLogger(__name__)

Rebuild = Callable[[int, Sample], Any]  # the prediction for an image, given its position and its labelled sample


def grade(
    path: Path,
    recipe: Recipe,
    tasks: Mapping[str, Task[Any]],
    *,
    split: str,
    formula: str | None,
    names: tuple[str, ...] = (),
) -> dict[str, float]:
    """Score a submission.

    Args:
        path: the submission.
        recipe: of the truth.
        tasks: of the truth.
        split: of the truth's data.
        formula: "A" or "B" for the challenge's leaderboards, or a formula over task names; None takes the recipe's or,
            where the file lacks a section that it needs, the mean of those that the file has.
        names: only these tasks; none stands for all.

    Returns:
        Scores by "task/metric", and "score". Only tasks that the formula needs are scored. Where the recipe's own
        formula needs what a submission does not say, such as a top 5, "score" is left out with a warning.

    Raises:
        DataError: naming the submission's entry that is missing, unknown or malformed.
        ConfigError: the formula does not fit the tasks.
    """
    by_section = sections_of(recipe, names)
    wanted, expression = _resolve(recipe.score if formula is None else formula, by_section)
    if formula is None:
        wanted, expression = _of_the_file(wanted, expression, by_section, path)
    submission = read_submission(path, list(wanted))
    datasets = load_datasets({name: tasks[name] for name in wanted.values()}, split)
    scores: dict[str, float] = {}
    for section, name in wanted.items():
        task, data = tasks[name], datasets[name]
        found = of_dataset(data)
        if section == "dec":
            rebuild = _boxes(submission.dec or [], found.ids, task, path)
        elif section == "cls":
            rebuild = _classes(submission.cls or {}, task, path)
        else:
            rebuild = _masks(submission.seg or {}, task, path)
        metric, seen = task.metric(), set()
        for position in range(len(found.ids)):
            sample = data[position]
            if image_key(sample.id) in seen:
                raise DataError(f"the truth has two images called '{image_key(sample.id)}'", where=f"tasks.{name}")
            seen.add(image_key(sample.id))
            metric.update([rebuild(position, sample)], [sample.target])
        given = {"seg": submission.seg, "cls": submission.cls}.get(section)
        _refuse_unknown(given or {}, seen, section, path)
        values = {key: float(value) for key, value in metric.compute().items()}
        kept = [task.main_metric] if section == "cls" else list(values)  # one class an image says nothing of a top 5
        scores |= {f"{name}/{key}": values[key] for key in kept}
    mains = {name: tasks[name].main_metric for name in wanted.values()}
    try:
        scores["score"] = overall_score(expression, scores, mains)
    except ConfigError as error:  # the recipe's formula may want a top 5
        if formula is not None:
            raise
        log.warning("%s: no overall score, which the recipe has as %s: %s", path, expression, error)
    return scores


def _resolve(formula: str, by_section: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The sections that a formula needs with their tasks, and the formula over task names."""
    if formula in LEADERBOARDS:
        needed = LEADERBOARDS[formula]
        for section in needed:
            if section not in by_section:
                raise DataError(f"has no task for {section}, which leaderboard {formula} needs", where="the truth")
        return {section: by_section[section] for section in needed}, "mean"
    words = set(re.findall(r"[a-z][a-z0-9_]*", formula))
    named = {section: name for section, name in by_section.items() if name in words}
    return named or dict(by_section), formula


def _of_the_file(
    wanted: dict[str, str], expression: str, by_section: Mapping[str, str], path: Path
) -> tuple[dict[str, str], str]:
    """What is wanted, or the mean of what a file of some tasks only has; the former where it has nothing."""
    held = sections_in(path)
    lacking = [section for section in wanted if section not in held]
    there = {section: name for section, name in by_section.items() if section in held}
    if not lacking or not there:
        return wanted, expression
    log.warning("%s: has no %s; the score is the mean of %s", path, " and no ".join(lacking), ", ".join(there))
    return there, "mean"


def _masks(given: Mapping[str, Polygons], task: Task[Any], path: Path) -> Rebuild:
    by_key = _by_key(given, "seg", path)
    classes = len(inferred_options_of(task)["class_names"])

    def rebuild(position: int, sample: Sample) -> LabelMap:
        name = _find(by_key, sample.id, "seg", path)
        height, width = sample.size
        for index, contours in given[name].items():
            what = f"seg, image {name!r}, class {index}"
            if index >= classes:
                raise DataError(f"{what}: there are {classes} classes, 0..{classes - 1}", where=str(path))
            for number, contour in enumerate(contours):
                points = contour.reshape(-1, 2)
                if (points < 0).any() or (points >= (width, height)).any():
                    raise DataError(
                        f"{what}, contour {number} leaves the image of {width} x {height} pixels", where=str(path)
                    )
        return LabelMap(torch.from_numpy(paint(given[name], sample.size)))

    return rebuild


def _classes(given: Mapping[str, int], task: Task[Any], path: Path) -> Rebuild:
    by_key = _by_key(given, "cls", path)
    classes = len(inferred_options_of(task)["class_names"])

    def rebuild(position: int, sample: Sample) -> ClassScores:
        name = _find(by_key, sample.id, "cls", path)
        if given[name] >= classes:
            raise DataError(
                f"cls, image {name!r} has class {given[name]}: there are {classes}, 0..{classes - 1}", where=str(path)
            )
        scores = torch.zeros(classes)
        scores[given[name]] = 1.0
        return ClassScores(scores)

    return rebuild


def _boxes(given: Sequence[BoxEntry], ids: Sequence[ImageId], task: Task[Any], path: Path) -> Rebuild:
    categories = {number: index for index, number in enumerate(inferred_options_of(task)["category_ids"])}
    known = set(ids)
    by_image: dict[ImageId, list[BoxEntry]] = defaultdict(list)
    for position, entry in enumerate(given):
        if entry.image_id not in known:
            some = ", ".join(map(repr, ids[:5]))
            raise DataError(
                f"dec, entry {position} is on the unknown image {entry.image_id!r}",
                where=str(path),
                hint=f"ids: {some} ...",
            )
        if entry.category_id not in categories:
            raise DataError(
                f"dec, entry {position} on image {entry.image_id!r} has the unknown category {entry.category_id}",
                where=str(path),
                hint=f"categories: {', '.join(map(str, categories))}",
            )
        by_image[entry.image_id].append(entry)

    def rebuild(position: int, sample: Sample) -> Detections:
        entries = by_image[ids[position]]
        boxes = torch.tensor([entry.bbox for entry in entries], dtype=torch.float64).view(-1, 4)
        corners = torch.cat((boxes[:, :2], boxes[:, :2] + boxes[:, 2:]), dim=1).float()
        return Detections(
            corners,
            torch.tensor([entry.score for entry in entries], dtype=torch.float32),
            torch.tensor([categories[entry.category_id] for entry in entries], dtype=torch.int64),
            sample.size,
        )

    return rebuild


def _by_key(given: Iterable[str], section: str, path: Path) -> dict[str, str]:
    by_key: dict[str, str] = {}
    for name in given:
        if by_key.setdefault(image_key(name), name) != name:
            raise DataError(f"{section} has both {by_key[image_key(name)]!r} and {name!r}", where=str(path))
    return by_key


def _find(by_key: Mapping[str, str], name: str, section: str, path: Path) -> str:
    if image_key(name) not in by_key:
        raise DataError(f"{section} has no entry for image '{name}'", where=str(path))
    return by_key[image_key(name)]


def _refuse_unknown(given: Iterable[str], known: set[str], section: str, path: Path) -> None:
    for name in given:
        if image_key(name) not in known:
            raise DataError(f"{section} has the unknown image {name!r}", where=str(path))
