"""A quantised network computes in integers, and gives what its arithmetic in floats gives, or one step beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sweep.errors import LowerFailed
from tests.toolchain.integers.conftest import answers, lowered, onnxruntime_answers, relax_of
from tests.toolchain.integers.quantised_networks import STEP, network

pytestmark = pytest.mark.tvm

INPUTS = [np.random.default_rng(seed).standard_normal((1, 3, 12, 12)).astype(np.float32) for seed in range(12)]


@pytest.mark.parametrize(
    ("activations", "per_channel", "weights", "level"),
    [
        ("uint8", True, "int8", 3),
        pytest.param("int8", False, "int8", 2, marks=pytest.mark.slow),
        pytest.param("int8", True, "int8", 3, marks=pytest.mark.slow),
        ("uint8", False, "uint8", 1),
    ],
)
def test_it_is_within_a_step_of_onnxruntime(activations: str, per_channel: bool, weights: str, level: int) -> None:
    from sweep.toolchain.mac_types import macs_by_type

    model = network(activations, per_channel, weights)
    expected = np.concatenate(onnxruntime_answers(model, INPUTS))
    module = lowered(relax_of(model), level)
    assert {dtype[:3] for dtype in macs_by_type(module)} == {"int"}
    apart = np.abs(np.concatenate(answers(module, INPUTS, level)) - expected) / STEP
    assert expected.std() > STEP, "a test that cannot fail"
    assert np.mean(apart < 1.01) >= 0.99
    assert np.mean(apart < 0.01) >= 0.95


def test_simulated_it_stays_in_floats() -> None:
    from sweep.toolchain.mac_types import macs_by_type

    assert set(macs_by_type(lowered(relax_of(network()), 0, execution="simulated"))) == {"float32"}
    with pytest.raises(LowerFailed, match="execution fast; there are integer, simulated"):
        lowered(relax_of(network()), 0, execution="fast")


def test_a_network_of_floats_is_left_as_it_is() -> None:
    from tvm import relax

    from sweep.toolchain.passes.integers.execution import ExecuteIntegers

    builder, data = relax.BlockBuilder(), relax.Var("data", relax.TensorType((1, 4), "float32"))
    with builder.function("main", [data]):
        with builder.dataflow():
            result = builder.emit_output(relax.op.matmul(data, relax.const(np.ones((4, 4), np.float32))))
        builder.emit_func_output(result)
    module = builder.get()
    assert str(ExecuteIntegers()(module)) == str(module)


def product(terms: int, scale: Any, zero: Any, axis: int) -> Any:
    """A product of codes with constant codes."""
    from tvm import relax

    builder, data = relax.BlockBuilder(), relax.Var("data", relax.TensorType((2, terms), "uint8"))
    weight = relax.const(np.full((terms, 3), 127, np.int8), "int8")
    with builder.function("main", [data]):
        with builder.dataflow():
            left = builder.emit(relax.op.dequantize(data, relax.const(0.5), relax.const(0, "uint8")))
            right = builder.emit(relax.op.dequantize(weight, relax.const(scale), relax.const(zero, "int8"), axis=axis))
            result = builder.emit_output(relax.op.matmul(left, right))
        builder.emit_func_output(result)
    return builder.get()


@pytest.mark.parametrize(
    ("terms", "scale", "axis", "is_integer"),
    [
        (8, np.float32(0.1), -1, True),
        (8, np.array([0.1, 0.2, 0.3], np.float32), 1, True),
        (8, np.linspace(0.1, 0.8, 8, dtype=np.float32), 0, False),  # one scale a term: no sum of codes
        (70_000, np.float32(0.1), -1, False),  # 255 * 127 * 70,000 does not fit 32 bits
    ],
)
def test_what_no_sum_of_codes_can_be_stays_in_floats(terms: int, scale: Any, axis: int, is_integer: bool) -> None:
    from sweep.toolchain.passes.call import calls_of, operator_of
    from sweep.toolchain.passes.integers.execution import ExecuteIntegers

    zero = np.zeros(np.shape(scale), np.int8)
    [found] = [
        call
        for call in calls_of(ExecuteIntegers()(product(terms, scale, zero, axis)))
        if operator_of(call) == "relax.matmul"
    ]
    assert (str(found.ty.dtype) == "int32") is is_integer
