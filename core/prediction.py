"""Predicting image files: annotated pictures and one JSON file a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from umbel.data.files import list_images, write_json
from umbel.data.images import read_image, write_image
from umbel.errors import DataError
from umbel.inference import image_tensor, predict
from umbel.runtime.base import Runtime
from umbel.task import Task


def predict_files(runtime: Runtime, tasks: Mapping[str, Task[Any]], paths: Sequence[Path], out: Path) -> list[Path]:
    """Predict images with every task.

    Args:
        runtime: gives the forward pass.
        tasks: tasks to run, by name.
        paths: image files, and folders whose image files are taken.
        out: gets TASK/IMAGE.jpg pictures and TASK.json, keyed by the image's path as given.

    Returns:
        The files written.
    """
    files = image_files(paths)
    stems = picture_stems(files)
    results: dict[str, dict[str, Any]] = {name: {} for name in tasks}
    written = []
    for file in files:
        image = read_image(file)
        pixels = image_tensor(image, runtime.device)
        for name, task in tasks.items():
            with runtime.evaluating():
                (prediction,) = predict(runtime.forward, task, [pixels], runtime.model.fill)
            results[name][str(file)] = task.to_json(prediction)
            picture = out / name / f"{stems[file]}.jpg"
            write_image(picture, task.draw(image, prediction))
            written.append(picture)
    for name, of_task in results.items():
        write_json(out / f"{name}.json", of_task)
        written.append(out / f"{name}.json")
    return written


def image_files(paths: Sequence[Path]) -> list[Path]:
    """Image files among the paths and directly inside the folders among them, each once, in order."""
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = list_images(path)
            if not inside:
                raise DataError("holds no images", where=str(path))
            files.update(dict.fromkeys(inside))
        elif path.exists():
            files[path] = None
        else:
            raise DataError("no such file or folder", where=str(path))
    return list(files)


def picture_stems(files: Sequence[Path]) -> dict[Path, str]:
    """A stem for each file's picture, its own or with a number behind, no two alike even where case is ignored."""
    counts = Counter(file.stem.lower() for file in files)
    used = {stem for stem, count in counts.items() if count == 1}
    stems = {}
    for file in files:
        stem, number = file.stem, 0
        while number == 0 or stem.lower() in used:
            if number == 0 and counts[stem.lower()] == 1:
                break
            number += 1
            stem = f"{file.stem}-{number}"
        used.add(stem.lower())
        stems[file] = stem
    return stems
