"""Which outputs of a network are integers by quantisation, and which are counts, indices and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from sweep.toolchain.models.onnx_types import output_types


def model(*nodes: Any, outputs: dict[str, int]) -> Any:
    weights = [numpy_helper.from_array(np.array(0.1, "float32"), "s"), numpy_helper.from_array(np.uint8([0])[0], "z")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])]
    declared = [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()]
    return helper.make_model(helper.make_graph(list(nodes), "small", inputs, declared, weights))


QUANTISED = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])


@pytest.mark.parametrize(
    ("nodes", "kind", "expected"),
    [
        ([], TensorProto.UINT8, True),
        (
            [helper.make_node("Transpose", ["q"], ["t"]), helper.make_node("Flatten", ["t"], ["y"])],
            TensorProto.UINT8,
            True,
        ),
        ([helper.make_node("ArgMax", ["q"], ["y"])], TensorProto.INT64, False),
        ([helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"])], TensorProto.FLOAT, False),
        ([helper.make_node("Shape", ["q"], ["y"])], TensorProto.INT64, False),
    ],
)
def test_an_output_is_quantised_where_its_values_are_those_of_a_quantisation(
    nodes: list[Any], kind: int, expected: bool
) -> None:
    [output] = output_types(model(QUANTISED, *nodes, outputs={nodes[-1].output[0] if nodes else "q": kind}))
    assert output.is_quantised is expected


def test_an_input_that_is_an_output_is_none() -> None:
    [output] = output_types(model(QUANTISED, outputs={"x": TensorProto.FLOAT}))
    assert not output.is_quantised


@pytest.mark.parametrize(
    ("more", "step", "tolerance"),
    [
        ([("DequantizeLinear", ["q", "s", "z"], "y")], pytest.approx(0.1), None),
        ([("DequantizeLinear", ["q", "s", "z"], "d"), ("Flatten", ["d"], "y")], pytest.approx(0.1), None),
        ([("DequantizeLinear", ["q", "s", "z"], "d"), ("Softmax", ["d"], "y")], None, 0.05),
    ],
)
def test_what_a_float_output_may_be_off_where_codes_are_inside(more: list[Any], step: Any, tolerance: Any) -> None:
    nodes = [helper.make_node(operator, inputs, [output]) for operator, inputs, output in more]
    [output] = output_types(model(QUANTISED, *nodes, outputs={"y": TensorProto.FLOAT}))
    assert (output.step, output.tolerance) == (step, tolerance)


@pytest.mark.parametrize(("kind", "tolerance"), [(TensorProto.FLOAT16, 1e-2), (TensorProto.FLOAT, None)])
def test_a_float_output_of_a_network_of_halves_is_as_coarse_as_they(kind: int, tolerance: float | None) -> None:
    """Exporters keep inputs and outputs in 32 bits, and compute in 16."""
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=kind),
        helper.make_node("Exp", ["h"], ["e"]),
        helper.make_node("Cast", ["e"], ["y"], to=TensorProto.FLOAT),
    ]
    [output] = output_types(shape_inference.infer_shapes(model(*nodes, outputs={"y": TensorProto.FLOAT})))
    assert output.tolerance == tolerance
