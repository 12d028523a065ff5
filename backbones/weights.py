"""Filling a backbone from the weights of a classifier of the same architecture, all of it or an error."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from umbel import CheckpointError, load_tensors
from umbel.backbones.download import download_weights

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")

_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.", "encoder.", "trunk.")

_RUN_PARTS = ("backbone.", "heads.", "balancer.")  # what the names in a checkpoint of umbel begin with

_SHOWN = 3


@dataclass
class _Match:
    """Tensors of a file by backbone name, and what does not fit."""

    found: dict[str, Tensor]
    missing: list[str]
    misshapen: list[str]
    ignored: list[str]

    @property
    def faults(self) -> int:
        return len(self.missing) + len(self.misshapen)


def load_weights(backbone: nn.Module, model: str, source: str) -> str:
    """Copy pretrained weights into a backbone.

    Args:
        backbone: what `build_backbone` made.
        model: its timm name.
        source: a weight file, the folder of an umbel run or checkpoint, or a timm tag such as
            "convnext_large.fb_in22k".

    Returns:
        One line that says how many tensors were loaded from where, and which were left over.

    Raises:
        CheckpointError: if any tensor of the backbone is missing or has another shape; nothing is copied then.
    """
    path = _file_of_run(Path(source).expanduser())
    if not (path.suffix in SUFFIXES or path.exists()):
        path = download_weights(model, source)
    tensors = _common_statistics(_without_prefix(_backbone_of_run(load_tensors(path))))
    needed = {name: value for name, value in backbone.state_dict().items() if not name.endswith("num_batches_tracked")}
    match = _match(needed, tensors)
    if match.faults:
        match = min(match, _match(needed, _renamed(tensors, model)), key=lambda m: m.faults)
    if match.faults:
        raise CheckpointError(
            f"fits the backbone '{model}' only in part: " + "; ".join(_describe(match)),
            where=str(path),
            hint=f"of {len(needed)} tensors {len(match.found)} would load; are these weights of '{model}'?",
        )
    counters = {name: value for name, value in backbone.state_dict().items() if name not in needed}
    backbone.load_state_dict({**counters, **match.found})
    left = f"; ignored {len(match.ignored)} ({_listed(match.ignored)})" if match.ignored else ""
    return f"loaded {len(match.found)} of {len(needed)} backbone tensors from {source}{left}"


def _candidates(name: str) -> Iterable[str]:
    """Names a classifier may hold a backbone tensor under: timm flattens stages.0 to stages_0, or wraps the model."""
    yield name
    first, _, rest = name.partition(".")
    if "_" in first:
        yield ".".join((*first.rsplit("_", 1), rest))
    if rest:
        yield rest


def _match(needed: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> _Match:
    found: dict[str, Tensor] = {}
    missing, misshapen, used = [], [], set()
    for name, value in needed.items():
        held = next((other for other in _candidates(name) if other in tensors), None)
        if held is None:
            missing.append(name)
            continue
        used.add(held)
        if tensors[held].shape != value.shape:
            misshapen.append(f"{name} is {tuple(tensors[held].shape)}, not {tuple(value.shape)}")
        else:
            found[name] = tensors[held]
    ignored = [name for name in tensors if name not in used and not name.endswith("num_batches_tracked")]
    return _Match(found, missing, misshapen, ignored)


def _renamed(tensors: Mapping[str, Tensor], model: str) -> Mapping[str, Tensor]:
    """The file in timm's names: each model family's module converts the original authors' checkpoints."""
    with torch.device("meta"):
        classifier = timm.create_model(model, pretrained=False)
    convert = getattr(sys.modules[type(classifier).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return tensors
    try:
        renamed: Mapping[str, Tensor] = convert(dict(tensors), classifier)
    except Exception:  # the converter met names of another model; the error of the plain match says more
        return tensors
    return renamed


def _file_of_run(path: Path) -> Path:
    """The weights in the folder of a run or checkpoint of umbel, averaged ones first; any other path as it is."""
    latest = path / "checkpoints" / "latest"
    folder = latest.with_name(latest.read_text(errors="replace").strip()) if latest.is_file() else path
    files = [folder / f"{stem}.safetensors" for stem in ("average", "model")]
    return next((file for file in files if file.is_file()), path)


def _backbone_of_run(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of a checkpoint of umbel the backbone; any other file as it is."""
    if not all(name.startswith(_RUN_PARTS) for name in tensors):
        return tensors
    return {name: value for name, value in tensors.items() if name.startswith("backbone.trunk.")} or tensors


def _common_statistics(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Where batch statistics are kept per task, their mean over the tasks in place of those common to all, which no
    task has updated."""
    owned: dict[str, list[Tensor]] = {}
    for name, value in tensors.items():
        common = re.sub(r"(\.running_(mean|var))_\w+$", r"\1", name)
        if common != name:
            owned.setdefault(common, []).append(value)
    kept = {name: value for name, value in tensors.items() if re.search(r"\.running_(mean|var)_\w+$", name) is None}
    return kept | {name: torch.stack(values).mean(0) for name, values in owned.items()}


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names without what a wrapper put before all of them."""
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            return _without_prefix({name[len(prefix) :]: value for name, value in tensors.items()})
    return tensors


def _describe(match: _Match) -> Iterable[str]:
    if match.missing:
        yield f"{len(match.missing)} missing ({_listed(match.missing)})"
    if match.misshapen:
        yield f"{len(match.misshapen)} of another shape ({_listed(match.misshapen)})"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
