"""The weight average against the formula, term by term."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from umbel.model.ema import WeightAverage


def test_average_follows_the_formula_and_copies_counters() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = WeightAverage(model, 0.9)
    expected = {name: value.clone().double() for name, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    for step in range(1, 120):
        with torch.no_grad():
            for value in model.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.randn(value.shape, generator=generator))
                else:
                    value += 1
        average.update()
        decay = min(0.9, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * value.double()
            else:
                expected[name] = value.double()
        for name, value in average.shadow.items():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-4, atol=1e-5)


def test_applied_swaps_and_restores_even_after_an_error() -> None:
    model = nn.Linear(2, 2)
    average = WeightAverage(model, 0.5)
    with torch.no_grad():
        model.weight += 1
    own = model.weight.detach().clone()
    seen = []

    def fail_inside() -> None:
        with average.applied():
            seen.append(model.weight.detach().clone())
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail_inside()
    assert torch.equal(seen[0], average.shadow["weight"])
    assert not torch.equal(seen[0], own)
    assert torch.equal(model.weight, own)
