"""Pascal VOC: an XML file an image, and either lists of stems or a folder a split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from umbel import DataError, find_alike, list_images, read_lines, resolve_under, say_test_validates, skip_invalid
from umbel.tasks.detection.formats.entries import refuse_twice
from umbel.tasks.detection.formats.records import Annotations, Box, Record, make_record
from umbel.tasks.detection.formats.voc_places import image_folder, split_list, split_name, xml_files, xml_folder
from umbel.tasks.detection.formats.voc_xml import VocImage, read_voc_xml
from umbel.tasks.detection.options import DetectionOptions

SPLITS = ("train", "val")


class Voc:
    """Lists: root/ImageSets/Main/{train,val}.txt of stems, root/Annotations/STEM.xml, root/JPEGImages/STEM.*.

    Without a list: root/{train,val}/STEM.xml, the images beside them; `voc_places` has other usual places. An image is
    found by the stem of its XML file, else by the file name in it. Stored classes are the names that occur in any
    split, sorted. Coordinates are taken as written: VOC's own count pixels from 1, but most tools count from 0.
    """

    looks_for = (
        "ImageSets/Main/train.txt or val.txt with a folder Annotations, or XML files in train or val (also valid, "
        "validation, dev), beside the images or in a folder annotations"
    )

    def matches(self, options: DetectionOptions) -> bool:
        folders = (xml_folder(options, split) for split in self.splits(options))
        return any(xml_files(folder) for folder in folders)

    def splits(self, options: DetectionOptions) -> list[str]:
        return [split for split in SPLITS if split_list(options, split) or xml_folder(options, split).is_dir()]

    def read(self, options: DetectionOptions, split: str) -> Annotations:
        folder = xml_folder(options, split)
        found = _read_split(options, split)
        here = self.splits(options)
        others = [other for other in here if other != split]
        if options.class_names and not options.class_map:
            others = []  # the recipe knows the classes
        names = {entry.name for image in found.values() for entry in image.objects}
        for other in others:
            names |= {entry.name for image in _read_split(options, other).values() for entry in image.objects}
        if len(here) < len(SPLITS):
            names |= set(options.class_map)  # they may occur in the split that is not here
        index = {name: k for k, name in enumerate(sorted(names))}
        images = image_folder(options, split)
        say_test_validates(split_name(options, split) or "", Path(options.root))
        by_stem = _images_by_stem(images)
        records = []
        for path, image in found.items():
            with skip_invalid("missing-pair"):
                stem = path.relative_to(folder).with_suffix("").as_posix()
                records.append(
                    _record(
                        path,
                        stem,
                        image=image,
                        images=images,
                        by_stem=by_stem,
                        index=index,
                        difficult=options.difficult,
                    )
                )
        refuse_twice((record.id for record in records), "image", folder)
        return Annotations(tuple(records), tuple(index), None, str(folder))


def _record(
    path: Path,
    stem: str,
    *,
    image: VocImage,
    images: Path,
    by_stem: dict[str, Path],
    index: dict[str, int],
    difficult: str,
) -> Record:
    file = by_stem.get(stem)
    if file is None:
        if not image.file_name:
            raise DataError(
                f"has no image: {images} holds none of its stem, and it has no filename",
                where=str(path),
                hint=find_alike(stem, by_stem),
            )
        file = resolve_under(images, image.file_name, source=str(path))
    boxes = [
        Box(entry.corners, index[entry.name], entry.difficult and difficult == "ignore", f"object {number}")
        for number, entry in enumerate(image.objects, start=1)
        if not (entry.difficult and difficult == "drop")
    ]
    return make_record(file, file.relative_to(images).as_posix(), path, boxes, size=image.size)


def _read_split(options: DetectionOptions, split: str) -> dict[Path, VocImage]:
    folder = xml_folder(options, split)
    listing = split_list(options, split)
    if listing is None:
        paths = xml_files(folder)
        if not paths:
            raise DataError(
                "holds no XML files" if folder.is_dir() else "no such folder",
                where=str(folder),
                hint=f"VOC needs ImageSets/Main/{split}.txt ({split}_list) or a folder ({split}_annotations)",
            )
    else:
        paths = []
        for stem in _stems(listing, folder):
            with skip_invalid():
                paths.append(resolve_under(folder, f"{stem}.xml", source=str(listing)))
    found = {}
    for path in paths:
        with skip_invalid("annotation"):
            found[path] = read_voc_xml(path)
    return found


def _stems(listing: Path, folder: Path) -> Sequence[str]:
    """The stems of a list; they may hold spaces, but what has no XML file is a line of several columns."""
    stems = []
    known = {path.relative_to(folder).as_posix() for path in xml_files(folder)}
    for stem in read_lines(listing):
        with skip_invalid("annotation"):
            if len(stem.split()) > 1 and f"{stem}.xml" not in known:
                raise DataError(f"line {stem[:80]!r} has several columns; expected a stem", where=str(listing))
            stems.append(stem)
    if not stems:
        raise DataError("lists no images", where=str(listing), kind="empty-split")
    refuse_twice(stems, "stem", listing)
    return stems


def _images_by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_images(folder, nested=True):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        with skip_invalid("duplicate-stem"):
            if stem in found:
                raise DataError(
                    f"several images of stem {stem!r}: {found[stem].name}, {path.name}",
                    where=str(folder),
                    hint="keep one",
                )
            found[stem] = path
    return found
