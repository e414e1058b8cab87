"""Constant codes mean the same numbers in whatever shape they are, and packed weights are where they are read."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.tvm


class _Type:
    def __init__(self, shape: list[int]) -> None:
        self.shape, self.dtype = shape, "int8"


class _Codes:
    def __init__(self, shape: list[int]) -> None:
        self.ty = _Type(shape)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 3), st.booleans(), st.randoms())
def test_codes_mean_the_same_in_another_shape(
    shape: list[int], axis: int, per_channel: bool, random: np.random.Generator
) -> None:
    from sweep.toolchain.passes.integers.codes import Quantised

    axis %= len(shape)
    generator = np.random.default_rng(axis)
    many = shape[axis] if per_channel else 1
    array = generator.integers(-128, 128, shape).astype(np.int8)
    scale, zero = generator.random(many, np.float32) + 1, generator.integers(-9, 9, many)
    real = Quantised.of(_Codes(shape), scale, zero, axis, array)
    assert real is not None
    numbers = (array - real.zero) * real.scale
    order = list(range(len(shape)))
    random.shuffle(order)
    turned = real.permuted(order)
    assert turned.array is not None
    assert np.array_equal((turned.array - turned.zero) * turned.scale, numbers.transpose(order))
    flat = real.reshaped([array.size])
    assert flat.array is not None
    assert np.array_equal((flat.array - flat.zero) * flat.scale, numbers.reshape(-1))
    back = flat.reshaped(shape)
    assert back.array is not None
    assert np.array_equal((back.array - back.zero) * back.scale, numbers)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 3), st.sampled_from([4, 8, 16]))
def test_packed_weights_lie_where_the_instruction_reads_them(
    outputs: int, inputs: int, window: int, lanes: int
) -> None:
    from sweep.toolchain.passes.integers.dot_products import _in_order

    weights = np.random.default_rng(inputs).integers(-128, 128, (outputs, window, window, inputs)).astype(np.int8)
    packed = _in_order(weights, lanes)
    for o, y, x, i in itertools.product(*map(range, weights.shape)):
        assert packed[o // lanes, y, x, i // 4, o % lanes, i % 4] == weights[o, y, x, i]
    assert np.count_nonzero(packed) == np.count_nonzero(weights)
