"""Weights that are not finite are never saved: they would become the newest checkpoint, or the best."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from umbel.errors import TrainingError

_NAMED = 4


def refuse_non_finite(tensors: Mapping[str, Mapping[str, Tensor]], parameters: Collection[str], step: int) -> None:
    """Check what is about to be saved; one synchronisation a file and device.

    Parameters and their averages must be finite. Everything else, such as batch statistics and the optimizer's state,
    must not be NaN; an infinity may be meant there, as in an attention mask.

    Args:
        tensors: file stem to named tensors.
        parameters: names of the model's parameters.
        step: optimizer steps done.

    Raises:
        TrainingError: naming the tensors.
    """
    bad = []
    for stem, named in tensors.items():
        floating = {name: value for name, value in named.items() if value.is_floating_point() and value.numel()}
        strict = parameters if stem in ("model", "average") else ()
        for device in {value.device for value in floating.values()}:
            here = {name: value for name, value in floating.items() if value.device == device}
            found = torch.stack([_is_bad(value, name in strict) for name, value in here.items()]).tolist()
            bad += [f"{stem}: {name}" for name, is_bad in zip(here, found, strict=True) if is_bad]
    if bad:
        more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        raise TrainingError(
            f"not finite after step {step}: {', '.join(bad[:_NAMED])}{more}; not saved",
            hint="earlier checkpoints are untouched; lower optim.lr and resume or start again",
        )


def _is_bad(value: Tensor, strict: bool) -> Tensor:
    if value.itemsize < 2:  # there is no order of 8-bit floats
        value = value.float()
    least, most = value.aminmax()  # NaN if any is; one pass, and nothing as large as the tensor is made
    return ~(torch.isfinite(least) & torch.isfinite(most)) if strict else torch.isnan(least)
