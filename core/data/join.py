"""Joining the samples of several tasks by the image that they label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from umbel.contract.defaults import sources_of
from umbel.contract.errors import ConfigError, DataError
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.data.datasets import HoldoutSubset


@dataclass(frozen=True)
class JoinedImage:
    """An image, and where the labels of each task stand.

    Args:
        id: the id of the first task's sample.
        file: the image.
        samples: index in the data set of each task that labels it, by task name.
    """

    id: str
    file: Path
    samples: dict[str, int]


def join_images(tasks: Mapping[str, Task[Any]], datasets: Mapping[str, Dataset[Sample]]) -> list[JoinedImage]:
    """All images that any of the tasks labels, in the order of the tasks and their data.

    Samples belong together if they are read from the same image file, else if the names of their files are equal but
    for folder and suffix. A task that does not know an image has no label of it: that is not the same as an empty one.

    Raises:
        ConfigError: a task does not say what its samples are read from.
        DataError: a task labels an image twice, or two files of one name could be meant.
    """
    by_file: dict[Path, JoinedImage] = {}
    for name, task in tasks.items():
        for index, (sample_id, file) in enumerate(_images(task, datasets[name])):
            image = by_file.setdefault(file, JoinedImage(sample_id, file, {}))
            if name in image.samples:
                raise DataError(
                    f"has two labels in task '{name}', samples {image.samples[name]} and {index}",
                    where=str(file),
                    hint="a source takes one label an image and task: remove one, or leave the task out of the source",
                )
            image.samples[name] = index
    return _join_by_stem(list(by_file.values()), len(tasks))


def _join_by_stem(images: list[JoinedImage], tasks: int) -> list[JoinedImage]:
    """Images of other folders of one name are one image, where no task knows both."""
    joined: dict[str, list[JoinedImage]] = {}
    for image in images:
        joined.setdefault(image.file.stem, []).append(image)
    result = []
    for alike in joined.values():
        whole = [image for image in alike if len(image.samples) == tasks]
        partial = [image for image in alike if len(image.samples) < tasks]
        result += [*whole, *_merged(partial)]
    order = {image.file: place for place, image in enumerate(images)}
    return sorted(result, key=lambda image: order[image.file])


def _merged(images: list[JoinedImage]) -> list[JoinedImage]:
    if len(images) < 2:
        return images
    first, *others = images
    samples = dict(first.samples)
    for other in others:
        twice = sorted(samples.keys() & other.samples)
        if twice:
            if all(image.samples.keys() == first.samples.keys() for image in images):
                return images  # the same tasks know each by its own file: they are different images
            raise DataError(
                f"has the name of {first.file}, and task '{twice[0]}' labels both: which is the other tasks' image?",
                where=str(other.file),
                hint="give the files of a source different names, or have all tasks read the same files",
            )
        samples |= other.samples
    return [JoinedImage(first.id, first.file, samples)]


def _images(task: Task[Any], dataset: Dataset[Sample]) -> list[tuple[str, Path]]:
    """Id and image file of every sample, in order."""
    kept = None
    if isinstance(dataset, HoldoutSubset):
        kept, dataset = list(dataset.indices), dataset.dataset
    named = sources_of(task, dataset)
    listed = None if named is None else [(source.id, source.files) for source in named]
    if listed is None or any(not files for _, files in listed):
        raise ConfigError(
            f"{type(task).__name__} does not say which files its samples are read from",
            where=f"tasks.{task.name}.source",
            hint="its sources() must name the image first; or give the task data of its own",
        )
    images = [(sample_id, Path(files[0]).resolve()) for sample_id, files in listed]
    return images if kept is None else [images[index] for index in kept]
