"""Predicted bytes of model states against live tensors that were counted on DeepSpeed 0.19.8."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from umbel.workflows.plan.states import STAGES, Sharding, Weights, model_states

ATTO = Weights((431,) * 7970 + (21,))
MIB = 2**20
NO_BUCKETS = Sharding(persistent=0, bucket=0)
HALF = Sharding(weight_bytes=2, persistent=0, bucket=0)

# ranks, stage, parameters, fp32 master, Adam's moments, gradients before the step, all of them: MiB, counted, AdamW
FP32 = [
    (1, 0, 13.10, 0.00, 26.21, 13.10, 52.41),
    (1, 1, 13.10, 13.10, 26.21, 13.10, 66.28),
    (1, 2, 13.10, 13.10, 26.21, 13.32, 65.74),
    (1, 3, 13.10, 13.10, 26.21, 13.10, 66.28),
    (2, 0, 13.10, 0.00, 26.21, 13.10, 52.41),
    (2, 1, 13.10, 6.55, 13.10, 13.10, 46.62),
    (2, 2, 13.10, 6.55, 13.10, 8.11, 40.87),
    (2, 3, 6.55, 6.55, 13.10, 6.55, 33.52),
    (4, 0, 13.10, 0.00, 26.21, 13.10, 52.41),
    (4, 1, 13.10, 3.28, 6.55, 13.10, 36.80),
    (4, 2, 13.10, 3.28, 6.55, 3.28, 26.21),
    (4, 3, 3.28, 3.28, 6.55, 3.28, 17.14),
]
BF16 = [  # stage, parameters, fp32 master, Adam's moments, gradients at two ranks
    (0, 6.55, 13.10, 26.21, 6.55),
    (1, 6.55, 6.55, 13.10, 6.55),
    (2, 6.55, 6.55, 13.10, 4.05),
    (3, 3.28, 6.55, 13.10, 3.28),
]


@pytest.mark.parametrize(("ranks", "stage", "parameters", "master", "moments", "gradients", "total"), FP32)
def test_fp32_as_counted(ranks, stage, parameters, master, moments, gradients, total):
    states = model_states(ATTO, stage, ranks, NO_BUCKETS)
    assert states.parameters / MIB == pytest.approx(parameters, abs=0.02)
    assert states.master / MIB == pytest.approx(master, abs=0.02)
    assert states.moments / MIB == pytest.approx(moments, abs=0.02)
    assert states.gradients / MIB == pytest.approx(gradients, rel=0.2)  # at stage 2 a bucket may be on its way
    assert sum(vars(states).values()) / MIB == pytest.approx(total, rel=0.1)


@pytest.mark.parametrize(("stage", "parameters", "master", "moments", "gradients"), BF16)
def test_bf16_weights_as_counted_at_two_ranks(stage, parameters, master, moments, gradients):
    states = model_states(ATTO, stage, 2, HALF)
    found = [size / MIB for size in (states.parameters, states.master, states.moments)]
    assert found == pytest.approx([parameters, master, moments], abs=0.02)
    assert states.gradients / MIB == pytest.approx(gradients, rel=0.2)


def test_gradients_of_stage_2_are_whole_where_a_share_cuts_a_tensor():
    """Counted on DeepSpeed 0.19.8: see test_plan_live.py, whose model is almost one tensor."""
    uneven = Weights((10, 100, 10, 40))
    assert model_states(uneven, 2, 1, NO_BUCKETS).gradients == 4 * 160
    assert model_states(uneven, 2, 2, NO_BUCKETS).gradients == 4 * 150  # of the second rank, 80 to 160
    assert model_states(uneven, 2, 4, NO_BUCKETS).gradients == 4 * 110  # of the first, 0 to 40
    assert model_states(uneven, 2, 2, HALF).gradients == 2 * 80
    assert model_states(Weights((10,) * 16), 2, 4, NO_BUCKETS).gradients == 4 * 40


def test_total_is_the_sum():
    states = model_states(Weights((10**6, 50), buffers=64), 2, 3, Sharding(averaged=True))
    assert states.total == sum(vars(states).values())


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 10**8), min_size=1, max_size=5).map(tuple),
    st.lists(st.integers(1, 10**8), max_size=3).map(tuple),
    st.integers(1, 1024),
)
def test_no_stage_holds_more_than_the_one_before_from_stage_1_on(trained, frozen, ranks):
    weights = Weights(trained, frozen)
    totals = [model_states(weights, stage, ranks, NO_BUCKETS).total for stage in STAGES]
    assert totals[1] >= totals[2] >= totals[3]
    whole = model_states(weights, 1, 1, NO_BUCKETS).total
    assert ranks * totals[3] >= whole  # nothing is lost by sharding
    assert totals[3] <= whole


def test_frozen_parameters_have_no_optimizer_and_no_gradients():
    with_frozen = model_states(Weights((1000,), (9000,)), 1, 2, NO_BUCKETS)
    without = model_states(Weights((1000,)), 1, 2, NO_BUCKETS)
    assert with_frozen.parameters - without.parameters == 36_000
    assert (with_frozen.master, with_frozen.moments, with_frozen.gradients) == (2000, 4000, 4000)


def test_small_parameters_stay_whole_at_stage_3():
    weights = Weights((100_000, 99_999))
    assert model_states(weights, 3, 4, Sharding(bucket=0)).parameters == 99_999 * 4 + 100_000
    assert model_states(weights, 3, 4, Sharding(persistent=0, bucket=0)).parameters == -(-199_999 * 4 // 4)


def test_offload_takes_masters_and_moments_from_the_device():
    kept, offloaded = (model_states(ATTO, 2, 2, Sharding(offload=offload)) for offload in (False, True))
    assert kept.total - offloaded.total == kept.master + kept.moments > 0
    assert offloaded.master == offloaded.moments == 0


def test_average_is_sharded_as_the_masters_are():
    weights = Weights((1000,), buffers=8)
    averages = [model_states(weights, stage, 4, Sharding(averaged=True)).average for stage in STAGES]
    assert averages == [4008, 1008, 1008, 1008]


def test_a_bucket_holds_at_most_the_whole_model():
    weights = Weights((600, 300))
    assert [model_states(weights, 1, 2, Sharding(bucket=bucket)).buckets for bucket in (10, 10**6)] == [40, 3600]
    assert model_states(weights, 3, 2, Sharding(bucket=700)).buckets == 5600
    assert model_states(weights, 3, 1, Sharding(bucket=700)).buckets == 0
