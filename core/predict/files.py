"""Predicting files: annotated pictures, JSON, COCO and mask files of images, annotated copies of videos."""

from __future__ import annotations

import glob
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umbel.contract.capabilities import MakesCoco, MakesMasks
from umbel.contract.defaults import json_of
from umbel.contract.errors import ConfigError, DataError
from umbel.data.worker_counts import reads_ahead
from umbel.io.files import write_bytes, write_json
from umbel.io.images import encode_image
from umbel.io.listing import collect_passed_over, describe_passed_over, list_images, say_passed_over
from umbel.io.lock import hold
from umbel.io.video import SUFFIXES, Video, VideoFile
from umbel.io.written import writing
from umbel.predict.predictor import Predictor
from umbel.predict.reading import read_files
from umbel.predict.result import Result
from umbel.registry.calls.fallback import as_method

if TYPE_CHECKING:
    import numpy as np


@dataclass
class Outcome:
    """What predicting some files came to.

    Args:
        written: files written, in order.
        failed: the error of each file that could not be predicted.
    """

    written: list[Path] = field(default_factory=list)
    failed: list[DataError] = field(default_factory=list)


def predict_files(
    predictor: Predictor,
    paths: Sequence[Path],
    out: Path,
    formats: Sequence[str] = ("pictures", "json"),
    batch: int = 1,
) -> Outcome:
    """Predict images and videos; a file that cannot be read costs no other one its results.

    Args:
        predictor: tasks and filters.
        paths: image files, video files, patterns, and folders whose images and videos are taken.
        out: gets pictures TASK/IMAGE.jpg, masks TASK/IMAGE.png, TASK.json keyed by the image's path as given,
            TASK.coco.json, and of videos VIDEO.mp4 and VIDEO.jsonl with a line a frame.
        formats: of `FORMATS`; videos give pictures and JSON only.
        batch: images in a pass.

    Raises:
        DataError: nothing is there to predict; or the only file cannot be predicted.
        ConfigError: no task can be written in one of the formats, or a file is in the way that umbel did not write.
        BusyError: another command is writing into `out`.
    """
    files = input_files(paths, out)
    names = picture_stems(files)
    videos = [file for file in files if file.suffix.lower() in SUFFIXES]
    images = [file for file in files if file not in set(videos)]
    _check_formats(predictor, formats)
    job = _Job(predictor, out, formats, names, batch)
    for video in videos:
        if (out / f"{names[video]}.mp4").resolve() == video.resolve():
            raise DataError("would be overwritten by its own prediction", where=str(video), hint="choose another --out")
    with hold(out, "umbel predict"), writing(out, _planned(job, videos), "prediction", inputs=files):
        return _predict(job, images, videos)


@dataclass(frozen=True)
class _Job:
    """What is to be done with the files; see `predict_files`.

    Args:
        predictor: tasks and filters.
        out: the folder to write to.
        formats: of `FORMATS`.
        names: the stem of what is written of each file.
        batch: images in a pass.
    """

    predictor: Predictor
    out: Path
    formats: Sequence[str]
    names: dict[Path, str]
    batch: int


def _planned(job: _Job, videos: Sequence[Path]) -> list[str]:
    """The files that may be written, by their paths in the folder."""
    images = [stem for file, stem in job.names.items() if file not in set(videos)]
    suffixes = [suffix for suffix, kind in ((".jpg", "pictures"), (".png", "masks")) if kind in job.formats]
    lists = [suffix for suffix, kind in ((".json", "json"), (".coco.json", "coco")) if kind in job.formats]
    tasks = list(job.predictor.tasks)
    return [
        *(f"{task}/{stem}{suffix}" for task in tasks for stem in images for suffix in suffixes),
        *(f"{task}{suffix}" for task in tasks for suffix in lists if images),
        *(f"{job.names[video]}{suffix}" for video in videos for suffix in (".mp4", ".jsonl")),
    ]


def _predict(job: _Job, images: Sequence[Path], videos: Sequence[Path]) -> Outcome:
    outcome = Outcome()
    writer = _ImageWriter(job, outcome)
    ahead = job.batch if reads_ahead(job.predictor.tasks) else 0
    with closing(read_files(images, ahead)) as read:
        while chunk := list(islice(read, job.batch)):
            for file, result in _predict_images(job.predictor, chunk, outcome):
                writer.add(file, result)
    writer.finish()
    for file in videos:
        try:
            _predict_video(job, file, outcome)
        except DataError as error:
            outcome.failed.append(error)
    if len(job.names) == len(outcome.failed) == 1 and not outcome.written:
        raise outcome.failed[0]
    return outcome


def _predict_images(
    predictor: Predictor, chunk: Sequence[tuple[Path, np.ndarray | DataError]], outcome: Outcome
) -> Iterator[tuple[Path, Result]]:
    """Results of a few files in one pass or, where memory does not suffice for that, one by one."""
    outcome.failed += [error for _, error in chunk if isinstance(error, DataError)]
    readable = [(file, image) for file, image in chunk if not isinstance(image, DataError)]
    try:
        results = predictor.predict([image for _, image in readable], [str(file) for file, _ in readable])
    except DataError as error:
        if len(readable) > 1:
            for pair in readable:
                yield from _predict_images(predictor, [pair], outcome)
        else:
            outcome.failed.append(error)
        return
    yield from zip((file for file, _ in readable), results, strict=True)


class _ImageWriter:
    """Writes the results of images: some files an image at once, the rest in the end."""

    def __init__(self, job: _Job, outcome: Outcome) -> None:
        self.tasks, self.out, self.formats, self.names = job.predictor.tasks, job.out, job.formats, job.names
        self.outcome = outcome
        self.json: dict[str, dict[str, Any]] = {name: {} for name in self.tasks}
        self.coco: dict[str, list[dict[str, Any]]] = {name: [] for name in self.tasks}
        self.images: list[dict[str, Any]] = []

    def add(self, file: Path, result: Result) -> None:
        height, width = result.image.shape[:2]
        self.images.append({"id": len(self.images) + 1, "file_name": str(file), "height": height, "width": width})
        for name, task in self.tasks.items():
            base = self.out / name / self.names[file]
            if "pictures" in self.formats:
                self._image(Path(f"{base}.jpg"), result.plot(name))
            if "masks" in self.formats and isinstance(task, MakesMasks):
                self._image(Path(f"{base}.png"), task.to_mask(result[name]))
            if "json" in self.formats:
                self.json[name][str(file)] = as_method(task, "to_json", json_of, result[name])
            if "coco" in self.formats and isinstance(task, MakesCoco):
                entries = self.coco[name]
                for annotation in task.to_coco(result[name]):
                    entries.append({"id": len(entries) + 1, "image_id": len(self.images), **annotation})

    def finish(self) -> None:
        for name, task in self.tasks.items():
            if "json" in self.formats and self.images:
                self._json(self.out / f"{name}.json", self.json[name])
            if "coco" in self.formats and isinstance(task, MakesCoco) and task.coco_categories() and self.images:
                content = {
                    "images": self.images, "annotations": self.coco[name], "categories": task.coco_categories()
                }  # fmt: skip
                self._json(self.out / f"{name}.coco.json", content)

    def _image(self, path: Path, image: Any) -> None:
        try:
            data = encode_image(image, path.suffix)
        except DataError as error:  # of one image only; a folder that cannot be written to ends all
            self.outcome.failed.append(DataError(error.message, where=str(path), hint=error.hint, kind=error.kind))
            return
        write_bytes(path, data)
        self.outcome.written.append(path)

    def _json(self, path: Path, content: Any) -> None:
        write_json(path, content)
        self.outcome.written.append(path)


def _predict_video(job: _Job, file: Path, outcome: Outcome) -> None:
    """NAME.mp4 with all tasks drawn into it, NAME.jsonl with frame number, seconds and predictions of each frame.

    Frames that come before a fault keep their results.
    """
    base, formats = job.out / job.names[file], job.formats
    video = Video(file)
    picture, lines = Path(f"{base}.mp4"), Path(f"{base}.jsonl")
    try:
        lines.parent.mkdir(parents=True, exist_ok=True)
        lines.touch()
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", where=str(lines)) from None
    with VideoFile(picture, video.rate) as copy, lines.open("w", encoding="utf-8") as log:
        for number, result in enumerate(job.predictor.stream(video, job.batch)):
            if "pictures" in formats:
                copy.add(result.plot())
            if "json" in formats:
                entry = {"frame": number, "seconds": round(video.times[number], 4), **result.to_json()}
                log.write(json.dumps(entry, allow_nan=False) + "\n")
    if "json" not in formats:
        lines.unlink()
    outcome.written += [path for path, kind in ((picture, "pictures"), (lines, "json")) if kind in formats]
    if video.fault is not None:
        outcome.failed.append(video.fault)


def _check_formats(predictor: Predictor, formats: Sequence[str]) -> None:
    for name, capability in (("coco", MakesCoco), ("masks", MakesMasks)):
        if name in formats and not any(isinstance(task, capability) for task in predictor.tasks.values()):
            raise ConfigError(
                f"none of the tasks {', '.join(predictor.tasks)} can be written as {name}",
                where="--format",
                hint="pictures and json always work",
            )


def input_files(paths: Sequence[Path], out: Path | None = None) -> list[Path]:
    """Files among the paths, those that patterns match, and images and videos inside folders, each once, in order.

    Args:
        paths: see `predict_files`.
        out: a folder inside them that is left out: it holds earlier predictions.

    Raises:
        DataError: a path is nothing of this.
    """
    files: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            with collect_passed_over() as others:
                images = list_images(path, nested=True)
            videos = sorted(other.path for other in others if other.path.suffix.lower() in SUFFIXES)
            others = [other for other in others if other.path.suffix.lower() not in SUFFIXES]
            inside = [file for file in (*images, *videos) if out is None or not _below(file, out)]
            if not inside:
                raise DataError("holds no images or videos", where=str(path), hint=describe_passed_over(others))
            say_passed_over(str(path), others)
            files.update(dict.fromkeys(inside))
        elif path.exists():
            files[path] = None
        else:
            matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []
            matches = [match for match in matches if Path(match).is_file()]
            if not matches:
                raise DataError("no such file or folder", where=str(path))
            files.update(dict.fromkeys(map(Path, matches)))
    return list(files)


def _below(file: Path, folder: Path) -> bool:
    return folder.absolute() in file.absolute().parents


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
