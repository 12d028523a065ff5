"""One save: what is checked and written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from umbel.checkpoint.finite import refuse_non_finite
from umbel.checkpoint.write import write_checkpoint
from umbel.errors import CheckpointError, TrainingError

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
