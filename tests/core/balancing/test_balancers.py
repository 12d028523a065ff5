"""The built-in balancers against their formulas, written out naively."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from umbel.balancing.scales import GradientNormBalancer, GradientNormOptions, LossScaleBalancer, LossScaleOptions
from umbel.balancing.uncertainty import UncertaintyBalancer, UncertaintyOptions
from umbel.contract.balancer import Balancer, FixedBalancer, FixedOptions

TASKS = ("a", "b", "c")


def factors(balancer: Balancer) -> list[float]:
    return [float(torch.as_tensor(balancer.factor(task)).detach()) for task in TASKS]


def tensors(values: dict[str, float]) -> dict[str, Tensor]:
    return {name: torch.tensor(value) for name, value in values.items()}


def naive_factors(history: list[dict[str, float]], decay: float) -> list[float]:
    means: dict[str, float] = {}
    counts = dict.fromkeys(TASKS, 0)
    for values in history:
        for task, value in values.items():
            past = min(decay, counts[task] / (counts[task] + 1))
            means[task] = past * means.get(task, 0.0) + (1 - past) * abs(value)
            counts[task] += 1
    inverse = {task: 1 / max(mean, 1e-8) for task, mean in means.items()}
    total = sum(inverse.values())
    return [len(inverse) * inverse[task] / total if task in inverse else 1.0 for task in TASKS]


steps = st.lists(
    st.dictionaries(st.sampled_from(TASKS), st.floats(2**-10, 1e4, width=32), min_size=1), min_size=0, max_size=12
)


@settings(deadline=None)
@given(steps, st.sampled_from([0.0, 0.5, 0.99]))
def test_loss_scale_equals_the_formula(history: list[dict[str, float]], decay: float) -> None:
    balancer = LossScaleBalancer(LossScaleOptions(decay), TASKS)
    for values in history:
        balancer.observe(tensors(values), {})
    assert factors(balancer) == pytest.approx(naive_factors(history, decay), rel=1e-4)
    if history:
        seen = {task for values in history for task in values}
        assert sum(
            factor for task, factor in zip(TASKS, factors(balancer), strict=True) if task in seen
        ) == pytest.approx(len(seen), rel=1e-4)


@settings(deadline=None)
@given(steps)
def test_gradient_norm_equals_the_formula_and_looks_at_nothing_else(history: list[dict[str, float]]) -> None:
    balancer = GradientNormBalancer(GradientNormOptions(every=7, decay=0.5), TASKS)
    assert balancer.gradient_every == 7
    for values in history:
        balancer.observe(tensors(dict.fromkeys(TASKS, 3.0)), {})
        balancer.observe(tensors(dict.fromkeys(TASKS, 3.0)), tensors(values))
    assert factors(balancer) == pytest.approx(naive_factors(history, 0.5), rel=1e-4)


def test_scaled_losses_are_equal_and_a_zero_loss_stays_finite() -> None:
    balancer = LossScaleBalancer(LossScaleOptions(), TASKS)
    balancer.observe(tensors({"a": 600.0, "b": 0.1, "c": 5.0}), {})
    scaled = [factor * loss for factor, loss in zip(factors(balancer), (600.0, 0.1, 5.0), strict=True)]
    assert max(scaled) / min(scaled) == pytest.approx(1.0, rel=1e-4)
    balancer.observe(tensors({"a": 0.0, "b": 0.0, "c": 0.0}), {})
    assert all(math.isfinite(factor) for factor in factors(balancer))


def test_uncertainty_equals_the_formula() -> None:
    balancer = UncertaintyBalancer(UncertaintyOptions(), TASKS)
    assert factors(balancer) == [1.0, 1.0, 1.0]
    assert [tuple(parameter.shape) for parameter in balancer.parameters()] == [(1,)] * 3
    for s in (-1.0, 0.0, 2.0):
        with torch.no_grad():
            balancer.log_variance_b.fill_(s)
        loss = torch.tensor(3.0, requires_grad=True)
        balanced = balancer.balanced("b", loss)
        assert balanced.shape == ()
        assert float(balanced.detach()) == pytest.approx(math.exp(-s) * 3 + s, rel=1e-6)
        balancer.zero_grad()
        balanced.backward()
        assert float(loss.grad) == pytest.approx(math.exp(-s), rel=1e-6)
        assert float(balancer.log_variance_b.grad) == pytest.approx(1 - 3 * math.exp(-s), rel=1e-5, abs=1e-6)
    assert balancer.log_variance_a.grad is None


def test_uncertainty_settles_at_the_logarithm_of_the_loss() -> None:
    balancer = UncertaintyBalancer(UncertaintyOptions(), ("a",))
    optimizer = torch.optim.SGD(balancer.parameters(), lr=0.3)
    for _ in range(200):
        optimizer.zero_grad()
        balancer.balanced("a", torch.tensor(0.2)).backward()
        optimizer.step()
    assert float(balancer.log_variance_a.detach()) == pytest.approx(math.log(0.2), abs=1e-3)


def test_fixed_leaves_the_loss_to_the_bit() -> None:
    balancer = FixedBalancer(FixedOptions(), TASKS)
    loss = torch.rand(())
    assert torch.equal(balancer.balanced("a", loss), loss)
    assert not balancer.state_dict()


@pytest.mark.parametrize("bad", [{"decay": 1.0}, {"decay": -0.1}])
def test_options_are_checked(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="decay is"):
        LossScaleOptions(**bad)
    with pytest.raises(ValueError, match="decay is"):
        GradientNormOptions(20, **bad)
    with pytest.raises(ValueError, match="every is 0"):
        GradientNormOptions(every=0)
    with pytest.raises(ValueError, match="lr_scale is -1"):
        UncertaintyOptions(lr_scale=-1)
