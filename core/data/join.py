"""Joining the samples of several tasks by the image that they label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from umbel.contract.defaults import sources_of
from umbel.contract.errors import ConfigError, DataError
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.data.datasets import HoldoutSubset

_RENAME = "give the files of a source different names, or have all its tasks read the same files"


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

    Samples belong together if they are read from the same image file. Tasks that read from different folders have
    files of their own: there, those of one name but for the suffix belong together. A task that does not know an image
    has no label of it: that is not the same as an empty one.

    Args:
        tasks: by name.
        datasets: their data by name.

    Raises:
        ConfigError: a task does not say what its samples are read from.
        DataError: a task labels an image twice, or two files of one name could be meant; names both.
    """
    by_file: dict[Path, JoinedImage] = {}
    for name, task in tasks.items():
        for index, (sample_id, file) in enumerate(image_files(task, datasets[name])):
            image = by_file.setdefault(file, JoinedImage(sample_id, file, {}))
            if name in image.samples:
                raise DataError(
                    f"has two labels in task '{name}', samples {image.samples[name]} and {index}",
                    where=str(file),
                    hint="a source takes one label an image and task: remove one, or leave the task out of the source",
                )
            image.samples[name] = index
    images = list(by_file.values())
    collections = _collections(tasks, images)
    if len(set(collections.values())) == 1:
        _refuse_twins(images)
        return images
    return _join_by_stem(images, collections)


def _collections(tasks: Iterable[str], images: Iterable[JoinedImage]) -> dict[str, str]:
    """By task, the first of the tasks that it has folders of images in common with, directly or by others."""
    leader = {name: name for name in tasks}
    of_folder: dict[Path, str] = {}
    for image in images:
        for name in image.samples:
            other = leader[of_folder.setdefault(image.file.parent, name)]
            mine = leader[name]
            if mine != other:
                leader = {task: other if of == mine else of for task, of in leader.items()}
    return leader


def _refuse_twins(images: Iterable[JoinedImage]) -> None:
    """DataError for two files of one folder and name, which different tasks label: they may be one image."""
    seen: dict[Path, JoinedImage] = {}
    for image in images:
        twin = seen.setdefault(image.file.with_suffix(""), image)
        if twin is not image and not twin.samples.keys() & image.samples:
            raise _ambiguous(twin, image)


def _join_by_stem(images: Sequence[JoinedImage], collections: Mapping[str, str]) -> list[JoinedImage]:
    """Files of one name in different collections are one image."""
    joined: dict[str, dict[str, list[JoinedImage]]] = {}
    for image in images:
        collection = collections[next(iter(image.samples))]
        joined.setdefault(image.file.stem, {}).setdefault(collection, []).append(image)
    merged: dict[Path, JoinedImage] = {}
    for alike in joined.values():
        for same in alike.values():
            if len(alike) > 1 and len(same) > 1:
                raise _ambiguous(same[0], same[1])
        parts = [image for same in alike.values() for image in same]
        for group in [parts] if len(alike) > 1 else [[part] for part in parts]:
            samples = {name: index for part in group for name, index in part.samples.items()}
            merged[group[0].file] = JoinedImage(group[0].id, group[0].file, samples)
    return [merged[image.file] for image in images if image.file in merged]


def _ambiguous(one: JoinedImage, other: JoinedImage) -> DataError:
    known = " and ".join(", ".join(f"'{name}'" for name in image.samples) for image in (one, other))
    return DataError(
        f"has the name of {one.file}; the tasks {known} read them: are they one image or two?",
        where=str(other.file),
        hint=_RENAME,
    )


def image_files(task: Task[Any], dataset: Dataset[Sample]) -> list[tuple[str, Path]]:
    """Id and image file of every sample, in order.

    Raises:
        ConfigError: the task does not say.
    """
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
    images = [(sample_id, _absolute(Path(files[0]))) for sample_id, files in listed]
    return images if kept is None else [images[index] for index in kept]


def _absolute(file: Path) -> Path:
    """The file by its real folder; a link to an image keeps its own name."""
    return _real(file.parent) / file.name


@lru_cache(maxsize=4096)
def _real(folder: Path) -> Path:
    return folder.resolve()
