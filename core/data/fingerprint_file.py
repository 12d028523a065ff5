"""The file in which a run remembers its data: tensors and JSON, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from umbel.contract.errors import DataError
from umbel.data.fingerprint import Fingerprint
from umbel.io.files import read_bytes, write_bytes

_ABOUT = "about"

_ARRAYS = tuple(one.name for one in fields(Fingerprint) if one.name not in ("samples", "digest", "notes"))

_KINDS = {one: getattr(Fingerprint(0), one).dtype for one in _ARRAYS}


def write_fingerprints(path: Path, fingerprints: Mapping[str, Fingerprint]) -> None:
    """Write them, by name, whole or not at all."""
    tensors = {f"{name}/{key}": getattr(one, key) for name, one in fingerprints.items() for key in _ARRAYS}
    about = {
        name: {"samples": one.samples, "digest": one.digest, "notes": dict(one.notes)}
        for name, one in fingerprints.items()
    }
    tensors[_ABOUT] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    write_bytes(path, save(tensors))


def read_fingerprints(path: Path) -> dict[str, Fingerprint]:
    """What `write_fingerprints` wrote; DataError for anything else."""
    content = read_bytes(path)
    try:
        tensors = load(content)
        about = json.loads(tensors[_ABOUT].tobytes())
        return {name: _one(name, entry, tensors) for name, entry in about.items()}
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"is not what umbel remembers of data: {reason}", where=str(path)) from None


def _one(name: str, about: Mapping[str, object], tensors: Mapping[str, np.ndarray]) -> Fingerprint:
    arrays = {key: tensors[f"{name}/{key}"] for key in _ARRAYS}
    for key, kind in _KINDS.items():
        if arrays[key].dtype != kind or arrays[key].ndim != 1:
            raise ValueError(f"{key} of {name} is {arrays[key].dtype} of {arrays[key].ndim} dimensions")
    samples, digest, notes = about["samples"], about["digest"], about["notes"]
    if not isinstance(samples, int) or not isinstance(digest, str) or not isinstance(notes, dict):
        raise TypeError(f"{name} has no samples, digest and notes")
    one = Fingerprint(samples, digest, **arrays, notes=notes)
    lengths = [len(one.labels_N), len(one.sizes_K), len(one.times_K), len(one.contents_M)]
    if digest and lengths != [samples, len(one.looked_at_K), len(one.looked_at_K), len(one.read_M)]:
        raise ValueError(f"the lengths of {name} do not agree")
    return one
