"""Predictions of a trained model as a submission."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from umbel import ConfigError, DataError, Recipe, Task, TrainedModel, inferred_options_of, json_of, predict_dataset
from umbel_challenge.images import ImageSet, image_key
from umbel_challenge.polygons import Polygons, contours_of
from umbel_challenge.submission import KINDS, BoxEntry, ImageId, Submission

PER_CLASS = 100  # detections of an image and class that the metric looks at


def sections_of(recipe: Recipe, names: tuple[str, ...] = ()) -> dict[str, str]:
    """The task for each section of a submission, by section.

    Args:
        recipe: of a run.
        names: only these tasks; none stands for all.

    Raises:
        ConfigError: a named task fits no section, or two fit one.
    """
    found: dict[str, str] = {}
    for name in names or recipe.tasks:
        if name not in recipe.tasks:
            raise ConfigError(f"no task '{name}'", where="--task", hint=f"there are {', '.join(recipe.tasks)}")
        kind = recipe.tasks[name].kind.rpartition("/")[2]
        section = KINDS.get(kind)
        if section is None and names:
            raise ConfigError(
                f"task '{name}' is of kind '{kind}'", where="--task", hint=f"it must be {', '.join(KINDS)}"
            )
        if section in found:
            raise ConfigError(
                f"tasks '{found[section]}' and '{name}' are both {kind}", where="--task", hint="name the one to take"
            )
        if section is not None:
            found[section] = name
    if not found:
        raise ConfigError("has no task that a submission could hold", where="tasks", hint=f"kinds: {', '.join(KINDS)}")
    return found


def collect(
    trained: TrainedModel, images: Mapping[str, tuple[str, ImageSet]], *, compat_road: bool = False
) -> Submission:
    """Predict images and put the predictions into a submission.

    Args:
        trained: the model.
        images: the task's name and its images, by section.
        compat_road: see `contours_of`.

    Raises:
        DataError: two images have one name.
    """
    submission = Submission()
    for section, (name, chosen) in images.items():
        predictions = _predictions(trained, trained.tasks[name], chosen)
        if section == "seg":
            classes = len(inferred_options_of(trained.tasks[name])["class_names"])
            masks: dict[str, Polygons] = {}
            for sample, _, prediction in predictions:
                named = image_key(sample) + ".png"
                masks[named] = contours_of(prediction.labels.numpy(), classes, compat_road=compat_road)
            submission.seg = masks
        elif section == "cls":
            submission.cls = {sample: prediction.label for sample, _, prediction in predictions}
        else:
            task = trained.tasks[name]
            submission.dec = [
                entry for _, image, prediction in predictions for entry in _entries(json_of(task, prediction), image)
            ]
    return submission


def _predictions(trained: TrainedModel, task: Task[Any], images: ImageSet) -> Iterator[tuple[str, ImageId, Any]]:
    ids = iter(images.ids)
    seen: set[str] = set()
    with trained.runtime.eval_mode():
        for samples, predictions in predict_dataset(trained.runtime, task, images.data):
            for sample, prediction in zip(samples, predictions, strict=True):
                if image_key(sample.id) in seen:
                    raise DataError(f"has two images called '{image_key(sample.id)}'", where=f"tasks.{task.name}")
                seen.add(image_key(sample.id))
                yield sample.id, next(ids), prediction


def _entries(rows: list[dict[str, Any]], image: ImageId) -> Iterator[BoxEntry]:
    """COCO results, which come best first, as entries: the best 100 of each class."""
    count: Counter[int] = Counter()
    for row in rows:
        count[row["category_id"]] += 1
        if count[row["category_id"]] <= PER_CLASS:
            x, y, width, height = row["bbox"]
            yield BoxEntry(image, row["category_id"], (x, y, width, height), row["score"])
