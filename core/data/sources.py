"""The sources of a run: which images several tasks label, and what is known of them before any is read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch.utils.data import Dataset

from umbel.contract.errors import ConfigError
from umbel.contract.source_config import SourceConfig
from umbel.contract.task import Task
from umbel.contract.types import Sample
from umbel.data.datasets import HoldoutSubset
from umbel.data.join import JoinedImage, image_files, join_images

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SharedImages:
    """The training images of a source.

    Args:
        name: of the source.
        config: the recipe's.
        tasks: names of the tasks that label them, in the recipe's order.
        images: all of them.
    """

    name: str
    config: SourceConfig
    tasks: tuple[str, ...]
    images: list[JoinedImage]

    def __len__(self) -> int:
        return len(self.images)

    def of(self, task: str) -> SharedImages:
        """The images that one of the tasks labels, without the labels of the others."""
        images = [replace(image, samples={task: image.samples[task]}) for image in self.images if task in image.samples]
        return replace(self, tasks=(task,), images=images)

    def labels(self) -> dict[tuple[str, ...], int]:
        """How many images carry exactly the labels of these tasks, the most frequent combination first."""
        return dict(Counter(tuple(t for t in self.tasks if t in image.samples) for image in self.images).most_common())

    def text(self) -> str:
        """ "517 images, 517 with labels of road, 213 of cars; 213 with all"."""
        counts = {name: sum(name in image.samples for image in self.images) for name in self.tasks}
        whole = sum(len(image.samples) == len(self.tasks) for image in self.images)
        labelled = ", ".join(f"{count:,} labelled for {name}" for name, count in counts.items())
        return f"{len(self):,} images, {labelled}; {whole:,} for all"


def open_sources(
    configs: Mapping[str, SourceConfig], tasks: Mapping[str, Task[Any]], datasets: Mapping[str, Dataset[Sample]]
) -> dict[str, SharedImages]:
    """The sources that any of the tasks names, by name.

    Args:
        configs: the recipe's sources.
        tasks: those that are trained, by name.
        datasets: their training data.

    Raises:
        ConfigError: a task cannot say what its samples are read from, or makes its batches itself.
        DataError: it is not clear which samples are of the same image.
    """
    opened = {}
    for source, config in configs.items():
        members = {name: task for name, task in tasks.items() if task.config.source == source}
        for name, task in members.items():
            if type(task).collate is not Task.collate:
                raise ConfigError(
                    f"{type(task).__name__} has a collate() of its own, and the batches of a source have the labels of "
                    "several tasks",
                    where=f"tasks.{name}.source",
                    hint="leave the source out, or have the task implement collate_targets() only",
                )
        if members:
            opened[source] = SharedImages(source, config, tuple(members), join_images(members, datasets))
            _warn_of_held_out(opened[source], members, datasets)
    return opened


def _warn_of_held_out(
    source: SharedImages, tasks: Mapping[str, Task[Any]], datasets: Mapping[str, Dataset[Sample]]
) -> None:
    """Tasks of other lists of images, or of strata, hold out others: what one validates on, the rest may train on."""
    trained = {image.file: image for image in source.images}
    for name, task in tasks.items():
        part = datasets[name]
        if not isinstance(part, HoldoutSubset):
            continue
        held = [trained[file] for _, file in image_files(task, part.dataset) if file in trained]
        seen = [image for image in held if name not in image.samples]
        if seen:
            others = ", ".join(f"'{other}'" for other in source.tasks if any(other in i.samples for i in seen))
            log.warning(
                "source '%s': %d images that '%s' holds out are trained on by %s: its scores will be too good; "
                "a validation split that all share would say more",
                source.name, len(seen), name, others,
            )  # fmt: skip


def say_sources(sources: Iterable[SharedImages]) -> None:
    """One log line a source: what its images carry, and that they are varied by the source alone."""
    for source in sources:
        log.info(
            "source '%s': %s; varied by sources.%s.augment, not by its tasks' own options, and evaluated task by task",
            source.name, source.text(), source.name,
        )  # fmt: skip
