"""What the values in a folder of masks mean: as the recipe says, ids, or 0 and 255 for two classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from umbel import ConfigError, DataError, evenly_spaced, list_images, read_label_map
from umbel.tasks.segmentation.options import SegmentationOptions

HINT = "label_values says what other values mean, null for unlabelled"

WHITE = 255

LOOKED_AT = 200  # masks at most; another value in one of the others is an error once it is read


def mask_values(
    options: SegmentationOptions, names: Sequence[str], folders: Sequence[Path]
) -> tuple[dict[int, str | None], bool]:
    """The class of every value that masks may hold, and whether it was detected from them.

    Looked at are masks spread evenly over the folders, whatever the split, until one holds anything but 0 and 255.

    Args:
        options: with `label_values`, which leave nothing to guess.
        names: the stored classes.
        folders: of the masks of all splits.

    Raises:
        ConfigError: `label_values` names a class that is not among them.
        DataError: masks of 0 and 255 with a single class.
    """
    if options.label_values:
        for value, name in options.label_values.items():
            if name is not None and name not in names:
                known = ", ".join(names)
                raise ConfigError(
                    f"calls {value} {name!r}, which is no class", where="label_values", hint=f"there are {known}"
                )
        return _with_ignored(options.label_values, options), False
    ids: dict[int, str | None] = {**dict(enumerate(names)), options.ignore_index: None}
    if len(names) > 2 or not _black_and_white(folders):
        return ids, False
    if len(names) == 1:
        raise DataError(
            f"holds masks of 0 and {WHITE}, but there is a single class, {names[0]!r}",
            where=", ".join(map(str, folders)),
            hint=f"name the background too, in classes.txt or class_names; or set label_values: {{0: {names[0]}, "
            f"{WHITE}: null}}",
            kind="label",
        )
    return _with_ignored({0: names[0], WHITE: names[1]}, options), True


def _with_ignored(values: Mapping[int, str | None], options: SegmentationOptions) -> dict[int, str | None]:
    unlabelled = {} if options.ignore_index in values else {options.ignore_index: None}
    return {**values, **unlabelled}


def _black_and_white(folders: Sequence[Path]) -> bool:
    """Whether the masks hold 0 and 255 and nothing else; those that cannot be read say nothing."""
    files, white = [path for folder in folders for path in list_images(folder, nested=True)], False
    for index in evenly_spaced(len(files), LOOKED_AT):
        try:
            labels = read_label_map(files[index])
        except DataError:
            continue
        is_white = labels == WHITE
        if not (is_white | (labels == 0)).all():
            return False
        white |= bool(is_white.any())
    return white
