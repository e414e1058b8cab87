"""Forms of operators that TVM's importer takes and does otherwise: they are not imported as they are, but rewritten."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, shape_inference

from sweep.errors import ImportFailed
from sweep.toolchain.models.onnx_not_as_it_is import check_as_it_is
from tests.toolchain.models.rewriting.test_rewrite import FLOAT, INT32, INT64, network, node, operators, same, weights

BOOL, DOUBLE, HALF = TensorProto.BOOL, TensorProto.DOUBLE, TensorProto.FLOAT16


def pool(operator: str, kernel: int, automatic: str, opset: int = 17, **more: Any) -> Any:
    attributes = {"kernel_shape": [kernel] * 2, "strides": [2, 2], "auto_pad": automatic, **more}
    outputs = [("y", FLOAT), ("at", INT64)] if operator == "MaxPool" else [("y", FLOAT)]
    made = node(operator, ["x"], [name for name, _ in outputs], **attributes)
    return network([made], {"x": ([1, 2, 9, 8], FLOAT)}, outputs, opset=opset)


def regions(opset: int = 16, **more: Any) -> Any:
    stored = {"r": np.float32([[0, 0, 20, 28], [5, 6, 16, 30]]), "i": np.array([0, 0])}
    made = node("RoiAlign", ["x", "r", "i"], ["y"], output_height=2, output_width=3, sampling_ratio=2, **more)
    return network([made], {"x": ([1, 2, 8, 8], FLOAT)}, [("y", FLOAT)], stored, opset)


def layer(*stored: Any) -> Any:
    names = [f"s{number}" for number in range(len(stored))]
    made = node("LayerNormalization", ["x", *names], ["y"], axis=1)
    return network([made], {"x": ([2, 4, 4], FLOAT)}, [("y", FLOAT)], dict(zip(names, stored, strict=True)))


def greatest(opset: int) -> Any:
    made = node("TopK", ["x", "k"], ["y", "at"], axis=1)
    stored = {"k": np.array([3])}
    return network([made], {"x": ([2, 7], FLOAT)}, [("y", FLOAT), ("at", INT64)], stored, opset)


def of_two(operator: str, kind: int) -> Any:
    inputs = {"x": ([2, 3], kind), "z": ([3], kind)}
    return network([node(operator, ["x", "z"], ["y"])], inputs, [("y", BOOL)])


def clipped() -> Any:
    made = node("Clip", ["x"], ["y"], min=0.0, max=0.5)
    return network([made], {"x": ([2, 3], HALF)}, [("y", HALF)], opset=10)


def norm() -> Any:
    made = node("LpPool", ["x"], ["y"], kernel_shape=[2, 3], strides=[2, 2], pads=[0, 1, 1, 0], ceil_mode=1)
    return network([made], {"x": ([1, 2, 9, 8], FLOAT)}, [("y", FLOAT)], opset=22)


def of_halves() -> Any:
    made = node("LayerNormalization", ["x", "g"], ["y"])
    stored = {"g": weights(16).astype(np.float16)}
    return network([made], {"x": ([2, 16], HALF)}, [("y", HALF)], stored)


def with_stored(operator: str, shape: list[int], *stored: Any, kind: int = FLOAT, opset: int = 19, **more: Any) -> Any:
    names = ["" if each is None else f"s{number}" for number, each in enumerate(stored)]
    made = node(operator, ["x", *names], ["y"], **more)
    given = {name: each for name, each in zip(names, stored, strict=True) if name}
    return network([made], {"x": (shape, kind)}, [("y", kind)], given, opset)


NO_SCALES = np.zeros(0, np.float32)

OTHERWISE = {
    "an image with its channels at the end": (
        with_stored("Resize", [1, 6, 7, 3], None, np.float32([1, 2, 2, 1]), mode="linear"),
        "resize the first two axes",
    ),
    "such an image to a size": (
        with_stored("Resize", [1, 6, 7, 3], None, None, np.array([1, 9, 7, 3]), mode="linear"),
        "resize the first two axes",
    ),
    "what is cut and wrapped": (
        with_stored("Pad", [2, 6, 7], np.array([-1, 2, 1, -2]), None, np.array([1, -1]), mode="wrap"),
        "wraps what it cuts",
    ),
    "a slice of nothing": (
        with_stored("Slice", [3, 5], *(np.array([at], np.int32) for at in (4, 2, 1))),
        "a part has no elements",
    ),
    "a mean of integers": (with_stored("ReduceMean", [3, 4], np.array([-1]), kind=INT32), "of integers"),
    **{
        f"{name} of each value": (with_stored(name, [3, 4], None, noop_with_empty_axes=1), "over no axes")
        for name in ("ReduceL1", "ReduceL2", "ReduceSumSquare")
    },
    "booleans that are equal": (of_two("Equal", BOOL), "of booleans"),
    "bounds of halves": (clipped(), "bounds of another type"),
    "a norm whose last window ends outside": (norm(), "a last window that ends outside"),
    "a layer of halves": (of_halves(), "of halves"),
    "a pool that is padded in front": (pool("MaxPool", 3, "SAME_LOWER"), "pads itself"),
    "a pool with gaps": (pool("MaxPool", 1, "SAME_UPPER"), "pads itself"),
    "regions of another scale": (regions(spatial_scale=0.25), "regions of another scale"),
    "a factor for the last axis": (layer(weights(4)), "a factor of another shape"),
    "an offset for the last axis": (layer(weights(4, 4), weights(4)), "a factor of another shape"),
    "a count of opset 10": (greatest(10), "of opset 10"),
}


@pytest.mark.parametrize(("model", "words"), OTHERWISE.values(), ids=list(OTHERWISE))
def test_it_is_rewritten(model: Any, words: str) -> None:
    with pytest.raises(ImportFailed, match=words):
        check_as_it_is(shape_inference.infer_shapes(model))
    check_as_it_is(shape_inference.infer_shapes(same(model)))


@pytest.mark.parametrize(
    "model",
    [
        pool("MaxPool", 3, "SAME_UPPER"),
        pool("AveragePool", 3, "SAME_LOWER"),
        regions(coordinate_transformation_mode="output_half_pixel", spatial_scale=0.25),
        regions(opset=10, spatial_scale=0.25),
        layer(weights(4, 4), weights(4, 4)),
        greatest(11),
    ],
)
def test_what_tvm_does_the_same_way_is_left_as_it_is(model: Any) -> None:
    check_as_it_is(shape_inference.infer_shapes(model))


@pytest.mark.parametrize(
    ("operator", "shape", "kind", "opset", "attributes"),
    [
        ("ThresholdedRelu", [3, 4], DOUBLE, 17, {"alpha": 0.4}),
        ("LRN", [1, 5, 4, 4], HALF, 17, {"size": 3, "alpha": 0.1}),
    ],
)
def test_forms_that_the_importer_has_for_other_types_alone(
    operator: str, shape: list[int], kind: int, opset: int, attributes: dict[str, Any]
) -> None:
    made = node(operator, ["x"], ["y"], **attributes)
    model = network([made], {"x": (shape, kind)}, [("y", kind)], opset=opset)
    assert operator not in operators(same(model))


@pytest.mark.parametrize(("operator", "attributes"), [("PRelu", {}), ("ReduceL2", {"axes": [1]})])
def test_integers(operator: str, attributes: dict[str, Any]) -> None:
    stored = {"s": np.array([[2], [3]], np.int32)} if operator == "PRelu" else {}
    made = node(operator, ["x", *stored], ["y"], **attributes)
    same(network([made], {"x": ([2, 3], INT32)}, [("y", INT32)], stored, opset=16))


def test_a_resize_with_sizes_beside_scales_that_are_none_has_sizes_alone() -> None:
    """As PyTorch writes it in opset 11."""
    form = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
    made = same(with_stored("Resize", [1, 2, 6, 7], NO_SCALES, NO_SCALES, np.array([1, 2, 12, 9]), opset=11, **form))
    assert [bool(name) for name in made.graph.node[0].input] == [True, False, False, True]


def test_a_batch_norm_of_each_place_by_itself() -> None:
    """Of opset 7."""
    stored = {name: np.abs(weights(3, 4)) + np.float32(0.1) for name in "gomv"}
    made = node("BatchNormalization", ["x", *stored], ["y"], spatial=0)
    assert "Div" in operators(same(network([made], {"x": ([2, 3, 4], FLOAT)}, [("y", FLOAT)], stored, opset=7)))


def test_the_greatest_in_any_order_are_taken_in_order() -> None:
    nodes = [
        node("TopK", ["x", "k"], ["best", ""], axis=1, sorted=0, largest=0),
        node("ReduceSum", ["best"], ["y"], keepdims=0),
    ]
    made = same(network(nodes, {"x": ([2, 7], FLOAT)}, [("y", FLOAT)], {"k": np.array([3])}))
    [top] = [one for one in made.graph.node if one.op_type == "TopK"]
    assert {one.name: one.i for one in top.attribute} == {"axis": 1, "sorted": 1, "largest": 0}


def test_regions_of_an_old_opset_stay_aligned_as_they_were_beside_what_is_newer() -> None:
    """A layer's normalisation makes the network one of opset 17, where regions would be moved by half a pixel."""
    model = regions(opset=11, spatial_scale=0.25)
    model.graph.node[0].output[0] = "h"
    model.graph.node.append(helper.make_node("LayerNormalization", ["h", "g"], ["y"]))
    model.graph.initializer.append(helper.make_tensor("g", FLOAT, [3], [1.0, 2.0, 0.5]))
    assert "LayerNormalization" in operators(same(model))
