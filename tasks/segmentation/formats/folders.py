"""The plain layout: a folder of images, one of masks, lists of stems and a list of class names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from umbel import (
    IMAGE_SUFFIXES,
    ConfigError,
    DataError,
    find_alike,
    find_split,
    find_val_or_test,
    is_hidden,
    read_class_names,
    read_lines,
    say_test_validates,
    skip_invalid,
)
from umbel.tasks.segmentation.formats.mask_values import HINT, mask_values
from umbel.tasks.segmentation.formats.records import Mask, Record, Split, files_by_name, pair_files
from umbel.tasks.segmentation.options import SegmentationOptions

_TREES = ("{folder}/{{}}", "{{}}/{folder}")  # where the folder of a split's images or masks is

_OTHER_NAMES = (("img_dir", "ann_dir"), ("images", "annotations"))


class Folders:
    """root/images/STEM.*, root/masks/STEM.*, root/{train,val}.txt with stems, root/classes.txt.

    Without lists: root/images/SPLIT with root/masks/SPLIT, or root/SPLIT/images with root/SPLIT/masks. With neither, or
    without a training list (`train_list: null`), all images are training data.
    """

    looks_for = "a folder of images and one of masks, with lists or with a folder a split in each"

    def matches(self, options: SegmentationOptions) -> bool:
        root = Path(options.root)
        whole = (root / options.images).is_dir() and (root / options.masks).is_dir()
        return whole or _tree(options, "train") is not None or _tree(options, "val") is not None

    def has_val(self, options: SegmentationOptions) -> bool:
        return (Path(options.root) / _list(options, "val")).is_file() or _tree(options, "val") is not None

    def class_names(self, options: SegmentationOptions) -> list[str]:
        """The masks hold ids only: the recipe's names say what they mean, unless it maps the names of the file."""
        if options.class_names and not options.class_map:
            return list(options.class_names)
        path = Path(options.root) / "classes.txt"
        if not path.is_file() and options.label_values:
            return [name for name in options.label_values.values() if name is not None]
        if not path.is_file():
            hint = "class_map renames these" if options.class_map else "or set class_names"
            raise DataError(
                "no such file", kind="missing", where=str(path), hint=f"write one class name a line, {hint}"
            )
        names = read_class_names(path)
        if not names:
            raise DataError("names no class", where=str(path), hint="write one class name a line")
        return names

    def read(self, options: SegmentationOptions, split: str) -> Split:
        root = Path(options.root)
        name = options.train_list if split == "train" else options.val_list
        listing = root / (_list(options, split) if name is not None else "")
        tree = None if listing.is_file() else _tree(options, split)
        if name is None and not (split == "train" and tree and _tree(options, "val")):
            records = tuple(pair_files(root / options.images, root / options.masks))
        elif tree is not None:
            say_test_validates(tree[0], root)
            records = tuple(pair_files(*tree[1:]))
        else:
            if split == "val" and options.val_list == "val.txt":
                say_test_validates(listing.stem, root)
            further = options.more_train_lists if split == "train" else []
            records = _listed(options, [listing, *(root / more for more in further)])
        names = self.class_names(options)
        if options.ignore_index < len(names):
            raise ConfigError(
                f"is {options.ignore_index}, the label of the class {names[options.ignore_index]!r}",
                where="ignore_index",
                hint="class_map leaves classes out",
            )
        values, recognised = mask_values(options, names, _mask_folders(options, tree))
        return Split(records, values, recognised, HINT)


def _mask_folders(options: SegmentationOptions, tree: tuple[str, Path, Path] | None) -> list[Path]:
    """Those of both splits, so that both are read alike."""
    if tree is None:
        return [Path(options.root) / options.masks]
    trees = (_tree(options, "train"), _tree(options, "val"))
    return list(dict.fromkeys(found[2] for found in trees if found is not None))


def split_list(root: Path, name: str, split: str, pattern: str, labelled: Callable[[Path], bool] | None = None) -> str:
    """The list of a split: the recipe's or, where that is the usual one and not there, one of another usual name."""
    if name != pattern.format(split) or (root / name).is_file():
        return name
    if split == "train":
        found = find_split(root, split, pattern, Path.is_file)
    else:
        found = find_val_or_test(root, pattern, Path.is_file, labelled)
    return pattern.format(found or split)


def _list(options: SegmentationOptions, split: str) -> str:
    name = options.train_list if split == "train" else options.val_list
    masks = Path(options.root) / options.masks

    def labelled(listing: Path) -> bool:
        return any((masks / f"{stem}.png").is_file() for stem in read_lines(listing)[:1])

    return split_list(Path(options.root), str(name), split, "{}.txt", labelled)


def _tree(options: SegmentationOptions, split: str) -> tuple[str, Path, Path] | None:
    """Name of a split, folder of its images and folder of its masks, where folders make the splits."""
    root = Path(options.root)
    for images, masks in ((options.images, options.masks), *_OTHER_NAMES):
        for tree in _TREES:
            pictures, labels = tree.format(folder=images), tree.format(folder=masks)

            def is_place(path: Path, pictures: str = pictures, labels: str = labels) -> bool:
                name = _name_in(path.relative_to(root), pictures)
                return _holds_images(path) and _holds_images(root / labels.format(name))

            if split == "train":
                name = find_split(root, split, pictures, is_place)
            else:
                name = find_val_or_test(root, pictures, is_place)
            if name is not None:
                return name, root / pictures.format(name), root / labels.format(name)
    return None


def _name_in(path: Path, pattern: str) -> str:
    """What stands for "{}" in a path of this pattern."""
    before, after = pattern.split("{}")
    text = path.as_posix()
    return text[len(before) : len(text) - len(after)]


def _holds_images(folder: Path) -> bool:
    return next(_images(folder), None) is not None


def _images(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path.name):
            yield path
        elif path.is_dir() and not path.is_symlink() and not is_hidden(path.name):
            yield from _images(path)


def _listed(options: SegmentationOptions, listings: Sequence[Path]) -> tuple[Record, ...]:
    images, masks = (Path(options.root) / name for name in (options.images, options.masks))
    image_files, mask_files = (_by_bare_name(files_by_name(folder)) for folder in (images, masks))
    records: dict[str, Record] = {}
    for listing, stem in ((path, stem) for path in listings for stem in read_lines(path)):
        with skip_invalid("missing-pair"):
            if stem in records:
                raise DataError(f"lists {stem!r} twice", where=str(listing), kind="duplicate-id")
            for folder, files in ((images, image_files), (masks, mask_files)):
                if stem not in files:
                    raise DataError(
                        f"no file of stem {stem!r}, which {listing.name} lists",
                        where=str(folder),
                        hint=find_alike(stem, files),
                    )
            records[stem] = Record(image_files[stem], Mask(mask_files[stem]), stem)
    if not records:
        raise DataError("lists no images", where=str(listings[0]), kind="empty-split")
    return tuple(records.values())


def _by_bare_name(files: dict[str, Path]) -> dict[str, Path]:
    """Files by name, those in subfolders also by the name without the folder, where only one has it."""
    bare = {name: PurePosixPath(name).name for name in files}
    counts = Counter(bare.values())
    return {bare[name]: path for name, path in files.items() if counts[bare[name]] == 1} | files
