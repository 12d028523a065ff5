"""Weights that are not finite are never saved: they would become the newest checkpoint, or the best."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from umbel.checkpoint.write import write_checkpoint
from umbel.contract.errors import CheckpointError, TrainingError

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


Outcome = tuple[TrainingError | None, CheckpointError | None]


@dataclass
class Job:
    """A checkpoint that is to be written.

    Args:
        root: folder of all checkpoints of the run.
        step: optimizer steps done.
        tensors: file stem to named tensors.
        state: JSON types.
        parameters: names of the model's parameters, which must be finite.
        keep: newest good checkpoints that stay.
        keep_every: steps between checkpoints that stay for ever; 0 for none.
    """

    root: Path
    step: int
    tensors: dict[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]
    parameters: Collection[str]
    keep: int
    keep_every: int

    def write(self, checked: Callable[[], object] = lambda: None) -> Outcome:
        """What kept the checkpoint from being written: its weights, or the disk.

        Args:
            checked: called when all numbers are known to be finite, and nothing but writing is left.
        """
        try:
            refuse_non_finite(self.tensors, self.parameters, self.step)
            checked()
            write_checkpoint(self.root, self.step, self.tensors, self.state, keep=self.keep, keep_every=self.keep_every)
        except TrainingError as error:
            return error, None
        except CheckpointError as error:
            return None, error
        return None, None
