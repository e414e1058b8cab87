"""Scales and zero points of ranges, by each strategy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.toolchain.quantisation.strategies import steps_of, weight_steps

RANGES = st.tuples(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32)).map(sorted)
STRATEGIES = st.sampled_from(["minmax", "symmetry_max", "scale_shift"])


def test_each_strategy_is_as_it_is_defined() -> None:
    assert steps_of(-1.0, 4.1, "minmax", is_weight=False).scale == pytest.approx(5.1 / 255)
    assert steps_of(-1.0, 4.1, "minmax", is_weight=False).zero_point == 50
    assert steps_of(-1.0, 4.0, "symmetry_max", is_weight=False).scale == pytest.approx(4 / 127)
    assert steps_of(-1.0, 4.0, "symmetry_max", is_weight=True).scale == pytest.approx(8 / 255)
    assert steps_of(-1.0, 4.0, "scale_shift", is_weight=True).scale == 1 / 16
    assert steps_of(-127 / 16, 4.0, "scale_shift", is_weight=True).scale == 1 / 16


@given(RANGES, STRATEGIES, st.booleans())
def test_what_is_in_the_range_is_off_by_half_a_step_and_zero_by_nothing(
    limits: list[float], strategy: str, is_weight: bool
) -> None:
    low, high = limits
    steps = steps_of(low, high, strategy, is_weight=is_weight)
    inside = np.linspace(low, high, 97)
    # 2 max / 255 ends half a step beyond 127, and the zero point of minmax is rounded
    most = 0.5 if strategy == "scale_shift" else 1.0
    assert np.abs(steps.rounded(inside) - inside).max() <= steps.scale * (most + 1e-3)
    assert steps.rounded(np.zeros(1))[0] == 0
    if strategy == "scale_shift":
        assert math.log2(steps.scale).is_integer()


@given(st.integers(0, 2**32 - 1), STRATEGIES)
def test_a_channel_is_never_coarser_than_its_tensor(seed: int, strategy: str) -> None:
    weight = np.random.default_rng(seed).standard_normal((3, 4, 2)).astype(np.float32)
    weight[1] *= 1e-3
    weight[2] = 0
    (whole,) = weight_steps(weight, None, strategy)
    for axis, channels in ((0, 3), (1, 4)):
        each = weight_steps(weight, axis, strategy)
        assert len(each) == channels
        assert all(one.scale <= whole.scale for one in each)
    # A bias is held in steps of data times weight, in 31 bits: no channel may have next to no step
    assert weight_steps(weight, 0, strategy)[2].scale >= whole.scale / 2**18
