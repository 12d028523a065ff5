"""What has changed between two fingerprints of a data set, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from umbel.data.fingerprint import Fingerprint
from umbel.io.text import printable

_NAMED = 5  # samples that a message names

_MOST_NAMES = 2_000_000  # ids that are compared as sets; of more, the first that differs is named


def changes(before: Fingerprint, now: Fingerprint) -> list[str]:
    """What differs, most telling first; nothing where the data is the same, or a copy as far as can be known.

    Other times alone are no change where the content of all their files is known to be the same. Where the files of
    all samples have other times, as those of a copy have, the content of those that were read speaks for the rest.
    """
    if bool(before.digest) != bool(now.digest):
        return ["the task names its sources otherwise than before: what was remembered cannot be compared"]
    if not now.digest:
        return _counts(before, now) + _notes(before, now)
    if before.digest == now.digest and before.samples == now.samples:
        found, names = [], _Lazily(now.names)
        pairs = np.arange(now.samples), np.arange(now.samples)
    else:
        old, new = before.names(), now.names()
        found = _ids(old, new)
        if max(len(old), len(new)) > _MOST_NAMES:
            return found
        names = _Lazily(lambda: new)
        pairs = _common(old, new)
    return found + _labels(before, now, pairs, names) + _files(before, now, pairs, names)


class _Lazily:
    """Names that are unpacked when one is asked for."""

    def __init__(self, make: Callable[[], list[str]]) -> None:
        self.make = make
        self.names: list[str] | None = None

    def of(self, indices: np.ndarray) -> str:
        self.names = self.names or self.make()
        return _listed([self.names[index] for index in indices[: _NAMED + 1]], len(indices))


def _counts(before: Fingerprint, now: Fingerprint) -> list[str]:
    return [f"{now.samples} samples instead of {before.samples}"] if before.samples != now.samples else []


def _notes(before: Fingerprint, now: Fingerprint) -> list[str]:
    found = []
    for key in sorted(before.notes.keys() | now.notes.keys()):
        if before.notes.get(key) != now.notes.get(key):
            what = "is new" if key not in before.notes else "is gone" if key not in now.notes else "has changed"
            found.append(f"{printable(key)} {what}")
    return found


def _ids(old: Sequence[str], new: Sequence[str]) -> list[str]:
    if max(len(old), len(new)) > _MOST_NAMES:
        first = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        return [f"{len(new)} samples instead of {len(old)}, different from number {first} on ({_at(new, first)})"]
    had, has = Counter(old), Counter(new)
    added, removed = list((has - had).elements()), list((had - has).elements())
    found = [f"{_counted(added)} added: {_listed(added, len(added))}"] if added else []
    found += [f"{_counted(removed)} removed: {_listed(removed, len(removed))}"] if removed else []
    common = had & has
    stayed = [[name for name in names if name in common] for names in (old, new)]
    if stayed[0] != stayed[1]:
        first = next((i for i, pair in enumerate(zip(*stayed, strict=False)) if pair[0] != pair[1]), 0)
        found.append(f"reordered, from {_at(stayed[1], first)} on")
    return found


def _common(old: Sequence[str], new: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    places = {name: index for index, name in enumerate(old)}
    pairs = [(places[name], index) for index, name in enumerate(new) if name in places]
    columns = np.array(pairs, np.int64).reshape(-1, 2).T
    return columns[0], columns[1]


def _labels(before: Fingerprint, now: Fingerprint, pairs: tuple[np.ndarray, np.ndarray], names: _Lazily) -> list[str]:
    old, new = pairs
    other = new[before.labels_N[old] != now.labels_N[new]]
    return [f"another label of {_counted(other)}: {names.of(other)}"] if len(other) else []


def _files(before: Fingerprint, now: Fingerprint, pairs: tuple[np.ndarray, np.ndarray], names: _Lazily) -> list[str]:
    both = _placed(before.looked_at_K, pairs[0]), _placed(now.looked_at_K, pairs[1])
    seen = (both[0] >= 0) & (both[1] >= 0)
    old, new, indices = both[0][seen], both[1][seen], pairs[1][seen]
    resized = before.sizes_K[old] != now.sizes_K[new]
    known = _placed(before.read_M, pairs[0])[seen], _placed(now.read_M, pairs[1])[seen]
    readable = (known[0] >= 0) & (known[1] >= 0)
    same = np.zeros(len(indices), bool)
    same[readable] = before.contents_M[known[0][readable]] == now.contents_M[known[1][readable]]
    touched = before.times_K[old] != now.times_K[new]
    replaced = resized | (readable & ~same)
    found = []
    if replaced.any():
        found.append(f"other files of {_counted(indices[replaced])}: {names.of(indices[replaced])}")
    unsure = touched & ~replaced & ~readable
    copied = touched.all() and same.any()
    if unsure.any() and not copied:
        what = f"files of {_counted(indices[unsure])} with another time and content that is not known"
        found.append(f"{what}: {names.of(indices[unsure])}")
    return found


def _placed(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted index stands among the known ones, which ascend; -1 where it does not."""
    if not len(known):
        return np.full(len(wanted), -1)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[places] == wanted, places, -1)


def _at(names: Sequence[str], index: int) -> str:
    return repr(printable(names[index])) if index < len(names) else "the end"


def _counted(what: Sequence[str] | np.ndarray) -> str:
    return f"{len(what):,} sample{'s' * (len(what) != 1)}"


def _listed(names: Sequence[str], count: int) -> str:
    shown = ", ".join(printable(name) for name in names[:_NAMED])
    return f"{shown} and {count - _NAMED:,} more" if count > _NAMED else shown
