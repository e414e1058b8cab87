"""What inputs hold when outputs are compared: a person's values, or made-up ones that the network can take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from sweep.errors import ImportFailed
from sweep.toolchain.models.expected_output import make_inputs
from sweep.toolchain.models.input_values import Values, read_values
from sweep.toolchain.models.loader import TensorType, with_values
from sweep.toolchain.models.onnx_types import input_types

INT64, INT32, UINT8, FLOAT = TensorProto.INT64, TensorProto.INT32, TensorProto.UINT8, TensorProto.FLOAT


def network(nodes: list[Any], **inputs: tuple[int, list[int]]) -> Any:
    weights = {"two": np.ones((2, 4), "float32"), "wide": np.ones((4, 30_000), "float32"), "axes": np.array([0])}
    declared = [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()]
    output = helper.make_tensor_value_info(nodes[-1].output[0], FLOAT, None)
    stored = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "net", declared, [output], stored)
    return shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def node(operator: str, *inputs: str, output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(operator, list(inputs), [output], **attributes)


@pytest.mark.parametrize(
    ("nodes", "inputs", "expected"),
    [
        ([node("Gather", "two", "i")], {"i": (INT64, [50])}, {0, 1}),
        ([node("Gather", "wide", "i", axis=1)], {"i": (INT64, [200])}, set(range(8))),
        ([node("Gather", "wide", "i", axis=-2)], {"i": (INT64, [200])}, set(range(4))),
        (
            [
                node("Unsqueeze", "i", "axes", output="u"),
                node("Cast", "u", output="c", to=INT64),
                node("Gather", "two", "c"),
            ],
            {"i": (INT32, [50])},
            {0, 1},
        ),
        # Two tables: the smaller one decides
        ([node("Gather", "wide", "i", output="a", axis=1), node("Gather", "two", "i")], {"i": (INT64, [50])}, {0, 1}),
        ([node("Cast", "attention_mask", to=FLOAT)], {"attention_mask": (INT64, [50])}, {0, 1}),
        ([node("Div", "x", "i")], {"x": (INT64, [200]), "i": (INT64, [200])}, set(range(1, 8))),
        ([node("Mod", "x", "i")], {"x": (INT32, [200]), "i": (INT32, [200])}, set(range(1, 8))),
        ([node("Cast", "i", to=FLOAT)], {"i": (UINT8, [1, 3, 99, 99])}, set(range(256))),
        ([node("Cast", "i", to=FLOAT)], {"i": (INT64, [200])}, set(range(8))),
    ],
)
def test_made_up_integers_are_those_that_the_network_can_take(
    nodes: list[Any], inputs: dict[str, Any], expected: set[int]
) -> None:
    """Ids of 0 to 7 read outside a table of two rows, and a division by 0 ends the process."""
    name = next(name for name in inputs if name != "x")
    feeds = make_inputs(input_types(network(nodes, **inputs)), 3)
    assert set(feeds[name].ravel().tolist()) == expected


def test_usual_values_are_those_of_earlier_versions() -> None:
    generator = np.random.default_rng(5)
    expected = [generator.standard_normal((2, 3)).astype("float32"), generator.integers(0, 8, (4,)).astype("int32")]
    inputs = [TensorType("x", (2, 3), "float32"), TensorType("i", (4,), "int32"), TensorType("b", (2,), "bool")]
    feeds = make_inputs(inputs, 5)
    np.testing.assert_array_equal(feeds["x"], expected[0])
    np.testing.assert_array_equal(feeds["i"], expected[1])
    np.testing.assert_array_equal(feeds["b"], generator.integers(0, 2, (2,)).astype(bool))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint8", "int64", "uint64", "bool"])
def test_fills_and_ranges_have_the_type_of_the_input(dtype: str) -> None:
    def drawn(**entry: Any) -> Any:
        [tensor] = with_values([TensorType("x", (40,), dtype)], read_values({"x": entry}, {}))
        return make_inputs([tensor], 0)["x"]

    for fill, value in (("zeros", 0), ("ones", 1)):
        assert drawn(fill=fill).dtype == dtype
        assert set(drawn(fill=fill).tolist()) == {value}
    assert drawn(fill="random").dtype == dtype
    if dtype != "bool":
        ranged = drawn(range=[3, 5])
        assert ranged.dtype == dtype
        assert ((ranged >= 3) & (ranged < 5) | (ranged == np.dtype(dtype).type(5))).all()


def test_an_array_is_taken_as_it_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", other=np.array([[4, 9]]))
    values = read_values({"x": {"npz": "0", "array": "other"}}, {"x": str(tmp_path / "a.npz")})
    [tensor] = with_values([TensorType("x", (1, 2), "int64")], values)
    for seed in (0, 1):
        assert make_inputs([tensor], seed)["x"].tolist() == [[4, 9]]


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (
            TensorType("x", (2, 1), "int64"),
            r"array for 'x' is int64 \[1, 2\], and the network takes int64 \[2, 1\]",
        ),
        (TensorType("x", (1, 2), "int32"), r"takes int32 \[1, 2\]"),
        (TensorType("y", (1, 2), "int64"), "no input is called 'x'; the network's inputs: y"),
    ],
)
def test_an_array_that_does_not_belong_is_refused(tensor: TensorType, said: str) -> None:
    with pytest.raises(ImportFailed, match=said):
        make_inputs(with_values([tensor], {"x": Values(array=np.array([[4, 9]]))}), 0)


def test_a_file_that_went_away_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match=r"the array for 'x' cannot be read from .*gone\.npz"):
        read_values({"x": {"npz": "0"}}, {"x": str(tmp_path / "gone.npz")})
