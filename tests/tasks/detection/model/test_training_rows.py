"""Labels of a batch as the loss takes them."""

from __future__ import annotations

import numpy as np
import torch

from umbel.tasks.detection.model.training_rows import training_rows
from umbel.tasks.detection.prediction import BoxTarget


def target_of(boxes, crowd=None) -> BoxTarget:
    boxes = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return BoxTarget(boxes, np.arange(len(boxes)), np.zeros(len(boxes), bool) if crowd is None else np.array(crowd))


def test_rows_of_a_batch():
    first = target_of([(0, 0, 32, 16), (1, 1, 2, 2)], crowd=[False, True])
    rows = training_rows([first, target_of([]), target_of([(16, 0, 48, 32)])], (32, 64))
    assert rows.tolist() == [[0, 0, 0.25, 0.25, 0.5, 0.5], [2, 0, 0.5, 0.5, 0.5, 1.0]]
    assert training_rows([], (32, 64)).shape == (0, 6)
    assert training_rows([target_of([])], (32, 64)).dtype == torch.float32
