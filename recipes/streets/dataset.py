"""Writing the three data sets of the demonstration: segmentation with depth, classification, detection.

Every picture is a pure function of (seed, data set, split, index): any number of processes writes the same bytes.
"""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from umbel import DataError, keyed_generator, read_json, write_image, write_json
from umbel.recipes.streets.labels import CLASSES, SIGN_CATEGORY_IDS, SIGN_KINDS, VEHICLE_KINDS
from umbel.recipes.streets.scene.compose import Box, Scene, render_street, render_vehicle

VERSION = 6  # raise it whenever pictures change, so that older folders are rendered again

SEGMENTATION_SIZE = (192, 320)

CLASSIFICATION_SIZE = (96, 96)

DETECTION_SIZE = (256, 384)

SPLITS = ("train", "val")

_MARKER, _STARTED = "streets.json", "streets.partial"

_FOLDERS = ("seg", "cls", "det")


@dataclass(frozen=True)
class Counts:
    """Numbers of pictures by data set and split."""

    seg_train: int = 220
    seg_val: int = 48
    cls_train: int = 2000
    cls_val: int = 180
    det_train: int = 460
    det_val: int = 80

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise DataError(f"{name} is {value}; every part needs at least one picture", where="street scenes")


@dataclass(frozen=True)
class _Job:
    folder: str
    split: str
    index: int


def render_dataset(
    root: Path,
    *,
    seed: int,
    counts: Counts | None = None,
    processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write root/seg, root/cls and root/det unless they are there already.

    A finished folder is marked by streets.json, written last; a folder that was left half-written, was made from
    another seed or other counts, or has lost files is made again.

    Args:
        root: where to write.
        seed: of all pictures.
        counts: how many pictures; the defaults if None.
        processes: how many render at once; the files do not depend on it.
        progress: called with the number of finished pictures and of all.

    Raises:
        DataError: if `root` holds folders of these names that this function did not write.
    """
    counts = counts or Counts()
    wanted = {"version": VERSION, "seed": seed, "counts": asdict(counts)}
    if _is_finished(root, wanted):
        return
    _make_room(root)
    jobs = [
        _Job(name, split, index)
        for name in _FOLDERS
        for split in SPLITS
        for index in range(getattr(counts, f"{name}_{split}"))
    ]
    boxes: dict[_Job, tuple[Box, ...]] = {}
    for done, (job, found) in enumerate(_run(root, seed, jobs, processes), start=1):
        boxes[job] = found
        if progress is not None:
            progress(done, len(jobs))
    _write_lists(root, counts)
    for split in SPLITS:
        write_json(root / "det" / "annotations" / f"{split}.json", _coco(boxes, split))
    write_json(root / _MARKER, {**wanted, "files": _inventory(root)})
    (root / _STARTED).unlink()


def _is_finished(root: Path, wanted: dict[str, Any]) -> bool:
    if not (root / _MARKER).is_file():
        return False
    try:
        found = read_json(root / _MARKER)
    except DataError:
        return False
    return bool(found == {**wanted, "files": _inventory(root)})


def _inventory(root: Path) -> dict[str, list[int]]:
    """Number of files and bytes by folder: cheap to take, and enough to notice lost or cut files."""
    return {
        name: [len(sizes), sum(sizes)]
        for name in _FOLDERS
        for sizes in [[path.stat().st_size for path in (root / name).rglob("*") if path.is_file()]]
    }


def _make_room(root: Path) -> None:
    """Remove what an earlier call wrote; refuse to touch anything else."""
    present = [name for name in _FOLDERS if (root / name).exists()]
    ours = (root / _MARKER).is_file() or (root / _STARTED).is_file()
    if present and not ours:
        raise DataError(
            f"holds {', '.join(present)}, which the street scenes did not write",
            where=str(root),
            hint="choose another folder, or remove them",
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        (root / _STARTED).touch()
        (root / _MARKER).unlink(missing_ok=True)
        for name in present:
            shutil.rmtree(root / name)
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", where=str(root)) from None


def _run(root: Path, seed: int, jobs: list[_Job], processes: int) -> Iterable[tuple[_Job, tuple[Box, ...]]]:
    if processes <= 1:
        for job in jobs:
            yield job, _render(root, seed, job)
        return
    # spawned, not forked: the caller may have threads running
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        count = len(jobs)
        yield from zip(jobs, pool.map(_render, [root] * count, [seed] * count, jobs, chunksize=8), strict=True)


def render_job(seed: int, folder: str, split: str, index: int) -> Scene:
    """The scene behind one picture of a data set: folder is "seg", "cls" or "det"."""
    rng = keyed_generator(seed, "streets", folder, split, index)
    if folder == "seg":
        return render_street(rng, SEGMENTATION_SIZE, most_signs=3, signless=0.2)
    if folder == "cls":
        return render_vehicle(rng, VEHICLE_KINDS[index % len(VEHICLE_KINDS)], CLASSIFICATION_SIZE)
    return render_street(rng, DETECTION_SIZE, most_signs=4, signless=0.1)


def _render(root: Path, seed: int, job: _Job) -> tuple[Box, ...]:
    """Render and write one picture; its sign boxes."""
    scene = render_job(seed, job.folder, job.split, job.index)
    if job.folder == "seg":
        stem = _stem(job.split, job.index)
        write_image(root / "seg" / "images" / f"{stem}.jpg", scene.image)
        write_image(root / "seg" / "masks" / f"{stem}.png", scene.labels)
        centimetres = np.clip(np.round(scene.depth_m * 100), 0, 65535).astype(np.uint16)
        write_image(root / "seg" / "depth" / f"{stem}.png", centimetres)
    elif job.folder == "cls":
        kind = VEHICLE_KINDS[job.index % len(VEHICLE_KINDS)]
        write_image(root / "cls" / job.split / kind / f"{job.index:05d}.jpg", scene.image)
    else:
        write_image(root / "det" / job.split / f"{job.index:05d}.jpg", scene.image)
    return scene.signs


def _stem(split: str, index: int) -> str:
    return f"{split}_{index:05d}"


def _write_lists(root: Path, counts: Counts) -> None:
    folder = root / "seg"
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    for split, count in (("train", counts.seg_train), ("val", counts.seg_val)):
        stems = [_stem(split, index) for index in range(count)]
        (folder / f"{split}.txt").write_text("\n".join(stems) + "\n", encoding="utf-8")


def _coco(boxes: dict[_Job, tuple[Box, ...]], split: str) -> dict[str, Any]:
    """A COCO annotation file; pictures without signs are listed too."""
    jobs = [job for job in boxes if job.folder == "det" and job.split == split]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for job in jobs:
        height, width = DETECTION_SIZE
        number = job.index + 1
        images.append({"id": number, "file_name": f"{job.index:05d}.jpg", "width": width, "height": height})
        for box in boxes[job]:
            x0, y0, x1, y1 = box.extent
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": SIGN_CATEGORY_IDS[box.kind],
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": 0,
                }
            )
    categories = [{"id": SIGN_CATEGORY_IDS[kind], "name": kind, "supercategory": "traffic_sign"} for kind in SIGN_KINDS]
    return {"images": images, "annotations": annotations, "categories": categories}
