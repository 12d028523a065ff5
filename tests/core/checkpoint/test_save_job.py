"""What is not finite is found in every kind of number, wherever it is."""

from __future__ import annotations

import pytest
import torch

from umbel.checkpoint.save_job import refuse_non_finite
from umbel.contract.errors import TrainingError

KINDS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [0, 500, 999])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_one_bad_number_among_many(kind: torch.dtype, place: int, value: float) -> None:
    numbers = torch.linspace(-2, 2, 1000)
    fine = numbers.to(kind, copy=True)
    good = {"model": {"w": fine}, "optimizer": {"w/exp_avg": fine}}
    refuse_non_finite(good, {"w"}, 1)
    numbers[place] = value
    with pytest.raises(TrainingError, match=r"not finite after step 3: model: w; not saved"):
        refuse_non_finite({**good, "model": {"w": numbers.to(kind)}}, {"w"}, 3)
    moments = {**good, "optimizer": {"w/exp_avg": numbers.to(kind)}}
    if value != value:
        with pytest.raises(TrainingError, match="optimizer: w/exp_avg"):
            refuse_non_finite(moments, {"w"}, 3)
    else:  # it may be meant
        refuse_non_finite(moments, {"w"}, 3)
