"""Each rule of the rewriting of ONNX networks: the operator is gone, and the outputs are the file's in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sweep.errors import ImportFailed
from sweep.toolchain.models.loader import TensorType
from sweep.toolchain.models.onnx_types import input_types
from sweep.toolchain.models.rewriting import rewriter
from sweep.toolchain.models.rewriting.against_original import compared, original_outputs
from sweep.toolchain.models.rewriting.rewrite import rewritten

node = helper.make_node
FLOAT, INT64, BOOL, UINT8, INT32 = 1, 7, 9, 2, 6
RANDOM = np.random.default_rng(7)


def value(name: str, shape: Sequence[int] | None, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def weights(*shape: int) -> Any:
    return RANDOM.standard_normal(shape).astype(np.float32)


def network(
    nodes: Sequence[Any],
    inputs: Mapping[str, tuple[Sequence[int], int]],
    outputs: Sequence[tuple[str, int]],
    stored: Mapping[str, Any] | None = None,
    opset: int = 17,
    functions: Sequence[Any] = (),
) -> Any:
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (stored or {}).items()]
    given = [value(name, shape, kind) for name, (shape, kind) in inputs.items()]
    graph = helper.make_graph(nodes, "g", given, [value(name, None, kind) for name, kind in outputs], tensors)
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))


def operators(model: Any) -> set[str]:
    return {made.op_type for made in model.graph.node}


def same(model: Any) -> Any:
    """The rewritten network, which gave the same on three random inputs."""
    before = model.SerializeToString()
    made = rewritten(model)
    assert model.SerializeToString() == before
    onnx.checker.check_model(made, full_check=True)
    types = [
        TensorType(
            v.name,
            [d.dim_value for d in v.type.tensor_type.shape.dim],
            str(np.dtype(helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type))),
        )
        for v in model.graph.input
    ]
    comparison = compared(model, made, types, seed=0)
    assert (comparison.inputs, comparison.not_compared) == (3, None)
    return made


def gone(operator: str, model: Any) -> None:
    assert operator in operators(model) or any(a.HasField("g") for n in model.graph.node for a in n.attribute)
    assert operator not in operators(same(model))


# -- recurrent ---------------------------------------------------------------------------------------------------------

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
STATES = {"RNN": 2, "GRU": 2, "LSTM": 3}


def recurrent(operator: str, *, lengths: Any = None, states: bool = False, biases: bool = True, **more: Any) -> Any:
    steps, batch, size, units, directions = 4, 3, 5, 2, 2 if more.get("direction") == "bidirectional" else 1
    gates, layout = GATES[operator], more.get("layout", 0)
    stored = {"w": weights(directions, gates * units, size), "r": weights(directions, gates * units, units)}
    names = ["x", "w", "r", "b" if biases else "", "n" if lengths is not None else ""]
    if biases:
        stored["b"] = weights(directions, 2 * gates * units)
    if lengths is not None:
        stored["n"] = np.array(lengths, np.int32)
    if states:
        shape = (batch, directions, units) if layout else (directions, batch, units)
        stored["h"] = weights(*shape)
        names.append("h")
        if operator == "LSTM":
            stored |= {"c": weights(*shape), "p": weights(directions, 3 * units)}
            names += ["c", "p"]
    outputs = ["y", "last", "cells"][: STATES[operator]]
    made = node(operator, names, outputs, hidden_size=units, **more)
    shape = (batch, steps, size) if layout else (steps, batch, size)
    return network([made], {"x": (shape, FLOAT)}, [(name, FLOAT) for name in outputs], stored)


RECURRENT: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "no bias": {"biases": False},
    "reverse": {"direction": "reverse"},
    "both ways, with states": {"direction": "bidirectional", "states": True},
    "own lengths": {"lengths": [4, 2, 3], "direction": "bidirectional", "states": True},
    "equal lengths": {"lengths": [4, 4, 4]},
    "clip": {"clip": 0.4},
}


@pytest.mark.parametrize("operator", list(GATES))
@pytest.mark.parametrize("options", RECURRENT.values(), ids=list(RECURRENT))
def test_recurrent_layers(operator: str, options: dict[str, Any]) -> None:
    gone(operator, recurrent(operator, **options))


@pytest.mark.parametrize("operator", list(GATES))
def test_lengths_that_are_an_input_fit_sequences_that_are_none(operator: str) -> None:
    """As of texts, whose words are looked up first. ONNX Runtime refuses a length beyond the sequence."""
    made = recurrent(operator, lengths=[4, 2, 3])
    table = numpy_helper.from_array(weights(20, 5), "table")
    nodes = [node("Gather", ["table", "words"], ["x"]), *made.graph.node]
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in (*made.graph.initializer, table)}
    del stored["n"]
    inputs = {"words": ([4, 3], INT64), "n": ([3], INT32)}
    model = network(nodes, inputs, [(output.name, FLOAT) for output in made.graph.output], stored)
    other = rewritten(model)
    types = input_types(onnx.shape_inference.infer_shapes(other), model)
    assert next(one.values.limits for one in types if one.name == "n" and one.values) == (1, 5)
    assert compared(model, other, types, seed=0).inputs == 3


def test_recurrent_activations_and_forms() -> None:
    gone("RNN", recurrent("RNN", activations=["Affine"], activation_alpha=[0.5], activation_beta=[0.1]))
    gone("RNN", recurrent("RNN", activations=["LeakyRelu", "Relu"], activation_alpha=[0.3], direction="bidirectional"))
    gone("GRU", recurrent("GRU", linear_before_reset=1, states=True))
    gone("LSTM", recurrent("LSTM", activations=["HardSigmoid", "Softsign", "ScaledTanh"], activation_alpha=[0.3, 1.2],
                           activation_beta=[0.4, 0.7]))  # fmt: skip
    gone("LSTM", recurrent("LSTM", input_forget=1))


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_an_lstm_of_integer_weights(kind: type[np.integer[Any]]) -> None:
    """Both ways, with states, and a scale and zero point for each column."""
    units, size, steps, batch = 3, 5, 4, 2
    zero = 100 if kind is np.uint8 else 0
    columns = (2, 4 * units)
    stored = {
        **{name: RANDOM.integers(zero - 90, zero + 90, (2, rows, 4 * units)).astype(kind)
           for name, rows in (("w", size), ("r", units))},
        **{name: np.abs(weights(*columns)) * 0.01 + 0.005 for name in ("ws", "rs")},
        **{name: np.full(columns, zero, kind) for name in ("wz", "rz")},
        "b": weights(2, 8 * units), "h": weights(2, batch, units), "c": weights(2, batch, units),
    }  # fmt: skip
    names = ["x", "w", "r", "b", "", "h", "c", "", "ws", "wz", "rs", "rz"]
    made = node("DynamicQuantizeLSTM", names, ["y", "last", "cells"], hidden_size=units, direction="bidirectional",
                domain="com.microsoft")  # fmt: skip
    outputs = [("y", FLOAT), ("last", FLOAT), ("cells", FLOAT)]
    gone("DynamicQuantizeLSTM", network([made], {"x": ([steps, batch, size], FLOAT)}, outputs, stored))


# -- control flow ------------------------------------------------------------------------------------------------------


def branches(condition: Sequence[Any], **stored: Any) -> Any:
    """y is x doubled, or less what is outside."""
    two = numpy_helper.from_array(np.float32(2), "two")
    then = helper.make_graph([node("Mul", ["k", "two"], ["t"])], "then", [], [value("t", [2, 3])], [two])
    other = helper.make_graph([node("Sub", ["k", "s"], ["e"])], "else", [], [value("e", [2, 3])])
    nodes = [
        node("Identity", ["x"], ["k"]),
        *condition,
        node("If", ["c"], ["y"], then_branch=then, else_branch=other),
    ]
    return network(nodes, {"x": ([2, 3], FLOAT), "s": ([2, 3], FLOAT)}, [("y", FLOAT)], stored)


@pytest.mark.parametrize("chosen", [True, False])
def test_a_branch_on_a_constant_is_the_branch(chosen: bool) -> None:
    assert operators(same(branches([], c=np.array(chosen)))) == {"Mul" if chosen else "Sub"}


def test_a_branch_on_data_is_both_and_a_choice() -> None:
    """The branches take the output of an Identity from outside, which goes."""
    condition = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["c"]),
    ]
    assert "Where" in operators(same(branches(condition, zero=np.float32(0))))


def test_branches_of_different_shapes_are_refused_by_name() -> None:
    then = helper.make_graph([node("Concat", ["x", "x"], ["t"], axis=0)], "then", [], [value("t", [4, 3])])
    other = helper.make_graph([node("Neg", ["x"], ["e"])], "else", [], [value("e", [2, 3])])
    fork = node("If", ["c"], ["y"], then_branch=then, else_branch=other, name="fork")
    with pytest.raises(ImportFailed, match=r"If \(node fork\): its branches give different shapes"):
        rewritten(network([fork], {"x": ([2, 3], FLOAT), "c": ([], BOOL)}, [("y", FLOAT)]))


def loop(trips: int | None, more: Sequence[Any] = (), keeps: str = "going") -> Any:
    """x times two at each step; each step's value is kept."""
    body = helper.make_graph(
        [node("Add", ["v", "v"], ["w"]), node("Identity", ["w"], ["kept"]), node("Identity", ["go"], ["going"]), *more],
        "body",
        [value("i", [], INT64), value("go", [], BOOL), value("v", [2, 3])],
        [value(keeps, [], BOOL), value("w", [2, 3]), value("kept", [2, 3])],
    )
    stored = {"true": np.array(True), **({} if trips is None else {"n": np.array(trips)})}
    made = node("Loop", ["" if trips is None else "n", "true", "x"], ["y", "all"], body=body, name="around")
    return network([made], {"x": ([2, 3], FLOAT)}, [("y", FLOAT), ("all", FLOAT)], stored)


def test_a_loop_of_a_known_count_is_its_steps() -> None:
    assert operators(same(loop(3))) == {"Add", "Unsqueeze", "Concat"}


def test_the_steps_of_a_loop_share_the_constants_of_its_body() -> None:
    model = loop(3, [node("Mul", ["w", "k"], ["times"])])
    [body] = [attribute.g for attribute in model.graph.node[0].attribute if attribute.HasField("g")]
    body.initializer.append(numpy_helper.from_array(np.float32(0.5), "k"))
    body.output[1].name = "times"
    assert len([one for one in same(model).graph.initializer if one.name.startswith("k__")]) == 1


def test_a_loop_that_counts_itself_is_its_steps() -> None:
    stop = [node("Constant", [], ["four"], value_int=4), node("Less", ["i", "four"], ["on"])]
    assert operators(same(loop(None, stop, "on"))) == {"Add", "Unsqueeze", "Concat"}


def test_a_loop_that_data_end_is_refused_by_name() -> None:
    total = [node("ReduceMax", ["w"], ["top"], keepdims=0), node("Less", ["top", "big"], ["on"])]
    model = loop(None, [*total], "on")
    model.graph.initializer.append(numpy_helper.from_array(np.float32(9), "big"))
    with pytest.raises(ImportFailed, match=r"Loop \(node around\): how often it runs depends on data"):
        rewritten(model)


def test_a_scan_is_its_steps() -> None:
    body = helper.make_graph(
        [node("Add", ["s", "row"], ["t"]), node("Identity", ["t"], ["out"])],
        "body",
        [value("s", [3]), value("row", [3])],
        [value("t", [3]), value("out", [3])],
    )
    made = node("Scan", ["s0", "x"], ["end", "all"], body=body, num_scan_inputs=1, scan_input_directions=[1],
                scan_output_axes=[1])  # fmt: skip
    model = network([made], {"x": ([4, 3], FLOAT)}, [("end", FLOAT), ("all", FLOAT)], {"s0": weights(3)})
    gone("Scan", model)


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_what_is_computed_from_shapes_is_folded() -> None:
    """Position ids, a scale by a root of a size, a reshape to what is left: nothing of it is computed when it runs."""
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "one"], ["length"]),
        node("Range", ["zero", "length", "one"], ["positions"]),
        node("Gather", ["table", "positions"], ["embedded"]),
        node("Cast", ["length"], ["real"], to=FLOAT),
        node("Sqrt", ["real"], ["root"]),
        node("Div", ["x", "root"], ["scaled"]),
        node("Add", ["scaled", "embedded"], ["sum"]),
        node("Size", ["x"], ["size"]),
        node("Unsqueeze", ["size", "first"], ["flat"]),
        node("Reshape", ["sum", "flat"], ["y"]),
    ]
    stored = {"zero": np.array(0), "one": np.array(1), "first": np.array([0]), "table": weights(9, 3)}
    model = network(nodes, {"x": ([2, 4, 3], FLOAT)}, [("y", FLOAT), ("shape", INT64)], stored)
    made = same(model)
    assert operators(made) == {"Div", "Add", "Reshape"}
    assert numpy_helper.to_array(next(t for t in made.graph.initializer if t.name == "shape")).tolist() == [2, 4, 3]


def test_a_large_constant_is_not_made_to_be_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bytes can ask for terabytes, of which none is kept."""
    monkeypatch.setattr(rewriter, "evaluated", lambda node, *_: pytest.fail(f"{node.op_type} is evaluated"))
    nodes = [node("Expand", ["one", "shape"], ["large"]), node("ReduceMax", ["large"], ["top"], keepdims=0),
             node("Add", ["x", "top"], ["y"])]  # fmt: skip
    stored = {"one": np.ones(1, np.float32), "shape": np.array([10**6, 10**6])}
    made = rewritten(network(nodes, {"x": ([3], FLOAT)}, [("y", FLOAT)], stored))
    assert [n.op_type for n in made.graph.node] == ["Expand", "ReduceMax", "Add"]


def test_a_half_spectrum_without_imaginary_parts_is_left_to_who_knows_it() -> None:
    made = rewritten(with_stored("DFT", [2, 5, 1], None, opset=17, axis=1, inverse=1, onesided=1))
    assert "DFT" in operators(made)


def test_sequences_inside_are_their_elements() -> None:
    nodes = [
        node("SplitToSequence", ["x"], ["rows"], axis=0, keepdims=0),
        node("SequenceAt", ["rows", "one"], ["second"]),
        node("SequenceInsert", ["rows", "second"], ["more"]),
        node("ConcatFromSequence", ["more"], ["y"], axis=0, new_axis=1),
    ]
    made = same(network(nodes, {"x": ([3, 2], FLOAT)}, [("y", FLOAT)], {"one": np.array(1)}))
    assert not any("Sequence" in operator for operator in operators(made))


def test_a_place_in_a_sequence_that_data_tell_is_refused_by_name() -> None:
    """TVM's importer takes the first element then, whatever the place is."""
    nodes = [node("SequenceConstruct", ["x", "z"], ["s"]), node("SequenceAt", ["s", "p"], ["y"], name="pick")]
    inputs = {"x": ([3], FLOAT), "z": ([3], FLOAT), "p": ([], INT64)}
    with pytest.raises(ImportFailed, match=r"SequenceAt \(node pick\): where in the sequence depends on data"):
        rewritten(network(nodes, inputs, [("y", FLOAT)]))


def test_a_sequence_as_output_is_refused_by_name() -> None:
    with pytest.raises(ImportFailed, match="output y is a sequence"):
        rewritten(network([node("SequenceConstruct", ["x"], ["y"])], {"x": ([3], FLOAT)}, [("y", FLOAT)]))


def test_the_mask_of_a_dropout_is_true() -> None:
    nodes = [node("Dropout", ["x"], ["y", "mask"])]
    assert operators(same(network(nodes, {"x": ([3], FLOAT)}, [("y", FLOAT), ("mask", BOOL)]))) == {"Identity"}


# -- functions ---------------------------------------------------------------------------------------------------------


def test_a_function_of_the_file_is_its_nodes() -> None:
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [node("Relu", ["a"], ["r"]), node("Add", ["r", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    nodes = [node("Twice", ["x"], ["h"], domain="own"), node("Twice", ["h"], ["y"], domain="own")]
    made = same(network(nodes, {"x": ([3], FLOAT)}, [("y", FLOAT)], functions=[twice]))
    assert [n.op_type for n in made.graph.node] == ["Relu", "Add"] * 2


def attention() -> Any:
    made = node("Attention", ["q", "k", "v"], ["y"], is_causal=1)
    shape = ([1, 2, 4, 8], FLOAT)
    return network([made], {"q": shape, "k": shape, "v": shape}, [("y", FLOAT)], opset=23)


def loss() -> Any:
    made = node("SoftmaxCrossEntropyLoss", ["x", "labels", "w"], ["y"], reduction="mean")
    stored = {"labels": np.array([0, 2, 4]), "w": np.abs(weights(5))}
    return network([made], {"x": ([3, 5], FLOAT)}, [("y", FLOAT)], stored)


def single(operator: str, shape: Sequence[int], opset: int = 17, kind: int = FLOAT, **attributes: Any) -> Any:
    return network([node(operator, ["x"], ["y"], **attributes)], {"x": (shape, kind)}, [("y", kind)], opset=opset)


def with_stored(operator: str, shape: Sequence[int], *arrays: Any, opset: int = 17, **attributes: Any) -> Any:
    stored = {f"s{number}": array for number, array in enumerate(arrays) if array is not None}
    names = ["x", *("" if array is None else f"s{number}" for number, array in enumerate(arrays))]
    made = node(operator, names, ["y"], **attributes)
    return network([made], {"x": (shape, FLOAT)}, [("y", FLOAT)], stored, opset)


OPERATORS: dict[str, Callable[[], Any]] = {
    "Attention": attention,
    "SoftmaxCrossEntropyLoss": loss,
    "Celu": lambda: single("Celu", [3, 4], alpha=0.7),
    "Swish": lambda: single("Swish", [3, 4], 24),
    "LpNormalization": lambda: single("LpNormalization", [3, 4], axis=0, p=1),
    "Det": lambda: single("Det", [2, 3, 3]),
    "CenterCropPad": lambda: with_stored("CenterCropPad", [5, 6], np.array([3, 8]), opset=18),
    "ReverseSequence": lambda: with_stored("ReverseSequence", [4, 3], np.array([1, 4, 2]), batch_axis=1, time_axis=0),
    "Col2Im": lambda: with_stored("Col2Im", [1, 5, 5], np.array([5, 5]), np.array([1, 5]), opset=18, pads=[0, 0, 0, 0]),
    "DFT": lambda: with_stored("DFT", [2, 6, 2], np.array(8), axis=1, inverse=1),
    "STFT": lambda: with_stored("STFT", [2, 16, 1], np.array(3), np.abs(weights(6)), np.array(6)),
    "BitShift": lambda: network(
        [node("BitShift", ["x", "by"], ["y"], direction="LEFT")],
        {"x": ([3], UINT8)},
        [("y", UINT8)],
        {"by": np.array([1, 9, 7], np.uint8)},
    ),
    "CumProd": lambda: with_stored("CumProd", [3, 4], np.array(1), opset=26, exclusive=1, reverse=1),
    "EyeLike": lambda: single("EyeLike", [3, 4], k=1),
    "OneHot": lambda: network(
        [node("OneHot", ["x", "depth", "values"], ["y"], axis=0)],
        {"x": ([5], INT64)},
        [("y", INT32)],
        {"depth": np.array(6), "values": np.array([2, 7], np.int32)},
    ),
    "Selu": lambda: single("Selu", [3, 4], kind=TensorProto.DOUBLE),
    "SpaceToDepth": lambda: single("DepthToSpace", [1, 8, 2, 3], blocksize=2, mode="CRD"),
}


@pytest.mark.parametrize("operator", [name for name in OPERATORS if name != "SpaceToDepth"])
def test_operators_that_are_made_of_others(operator: str) -> None:
    gone(operator, OPERATORS[operator]())


def added(*shape: int) -> Any:
    """Of opset 6: a number for each channel is added to x."""
    stored = {"b": np.arange(3, dtype=np.float32)}
    made = node("Add", ["x", "b"], ["y"], broadcast=1, axis=1)
    return network([made], {"x": (shape, FLOAT)}, [("y", FLOAT)], stored, 6)


@pytest.mark.parametrize(
    "model",
    [
        with_stored("ConvTranspose", [1, 2, 4, 4], weights(2, 3, 3, 3), strides=[2, 2], output_shape=[10, 8]),
        with_stored("ConvTranspose", [1, 2, 4, 4], weights(2, 3, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
        with_stored("Resize", [1, 2, 5, 6], None, None, np.array([9, 4]), opset=19, axes=[2, 3], mode="linear"),
        with_stored("Resize", [1, 2, 6, 6], None, np.array([1, 1, 0.5, 0.5], np.float32), opset=19, mode="linear",
                    antialias=1),
        with_stored("Resize", [1, 2, 4, 4], None, np.array([1, 1, 2, 2], np.float32), opset=19, mode="cubic",
                    exclude_outside=1, cubic_coeff_a=-0.5),
        with_stored("Resize", [1, 2, 4], None, np.array([1, 1, 1.7], np.float32), opset=19),
        with_stored("Resize", [1, 2, 5, 6], None, None, np.array([8, 8]), opset=19, axes=[2, 3], mode="linear",
                    keep_aspect_ratio_policy="not_larger"),
        with_stored("Pow", [3, 4], np.array(2)),
        network([node("IsInf", ["x"], ["y"], detect_negative=0)], {"x": ([4], FLOAT)}, [("y", BOOL)], opset=20),
        network([node("Mod", ["x", "z"], ["y"], fmod=1)], {"x": ([4], FLOAT), "z": ([4], FLOAT)}, [("y", FLOAT)]),
    ],
)  # fmt: skip
def test_forms_that_the_importer_does_otherwise(model: Any) -> None:
    same(model)


def test_what_onnxruntime_fused_is_what_it_was_fused_of() -> None:
    more = {"domain": "com.microsoft"}
    gone("FusedMatMul", with_stored("FusedMatMul", [2, 4, 3], weights(2, 5, 4), transA=1, transB=1, alpha=0.5, **more))
    gone("FusedConv", with_stored("FusedConv", [1, 2, 5, 5], weights(3, 2, 3, 3), weights(3), activation="LeakyRelu",
                                  activation_params=[0.2], **more))  # fmt: skip
    gone("FusedGemm", with_stored("FusedGemm", [4, 3], weights(3, 5), weights(5), activation="Relu", **more))
    made = node("SkipSimplifiedLayerNormalization", ["x", "s", "g"], ["y", "", "", "sum"], epsilon=1e-5, **more)
    stored = {"s": weights(2, 3, 8), "g": weights(8)}
    model = network([made], {"x": ([2, 3, 8], FLOAT)}, [("y", FLOAT), ("sum", FLOAT)], stored)
    gone("SkipSimplifiedLayerNormalization", model)


def test_old_broadcasting_keeps_its_axis() -> None:
    [array] = numpy_run(rewritten(added(1, 3, 4, 5)), np.zeros((1, 3, 4, 5), np.float32))
    np.testing.assert_array_equal(array[0, :, 2, 4], np.arange(3))


def test_old_broadcasting_that_could_mean_two_things_is_refused() -> None:
    with pytest.raises(ImportFailed, match=r"Add \(node y\): broadcasts along axis 1 what fits at the end too"):
        rewritten(added(1, 3, 4, 3))


def numpy_run(model: Any, x: Any) -> Any:
    from sweep.toolchain.models.expected_output import run_onnxruntime

    return run_onnxruntime(model.SerializeToString(), {"x": x})


# -- quantised ---------------------------------------------------------------------------------------------------------


def quantised(operator: str, names: Sequence[str], **attributes: Any) -> Any:
    """A quantised operator between a quantisation and a dequantisation."""
    stored = {
        "xs": np.float32(0.047), "xz": np.uint8(120), "ys": np.float32(0.213), "yz": np.uint8(100),
        "w": RANDOM.integers(-50, 50, (4, 3, 3, 3)).astype(np.int8), "ws": np.full(4, 0.01, np.float32),
        "wz": np.zeros(4, np.int8), "b": np.arange(4, dtype=np.int32) * 100,
        "m": RANDOM.integers(0, 255, (6, 5)).astype(np.uint8), "ms": np.float32(0.02), "mz": np.uint8(130),
    }  # fmt: skip
    nodes = [
        node("QuantizeLinear", ["x", "xs", "xz"], ["q"]),
        node(operator, names, ["r"], **attributes),
        node("DequantizeLinear", ["r", "ys", "yz"], ["y"]),
    ]
    return network(nodes, {"x": ([1, 3, 6, 6], FLOAT)}, [("y", FLOAT), ("r", UINT8)], stored)


X, Y = ["q", "xs", "xz"], ["ys", "yz"]


def test_quantised_operators_become_real_ones_between_a_dequantisation_and_a_quantisation() -> None:
    gone("QLinearConv", quantised("QLinearConv", [*X, "w", "ws", "wz", *Y, "b"], pads=[1, 1, 1, 1]))
    gone("QLinearMatMul", quantised("QLinearMatMul", [*X, "m", "ms", "mz", *Y]))
    gone("QLinearAdd", quantised("QLinearAdd", [*X, *X, *Y], domain="com.microsoft"))
    gone("QLinearMul", quantised("QLinearMul", [*X, *X, *Y], domain="com.microsoft"))
    gone("QLinearSigmoid", quantised("QLinearSigmoid", [*X, *Y], domain="com.microsoft"))
    gone("QLinearLeakyRelu", quantised("QLinearLeakyRelu", [*X, *Y], domain="com.microsoft", alpha=0.2))
    gone("QLinearGlobalAveragePool", quantised("QLinearGlobalAveragePool", [*X, *Y], domain="com.microsoft"))
    gone("QLinearAveragePool", quantised("QLinearAveragePool", [*X, *Y], domain="com.microsoft", kernel_shape=[2, 2]))
    gone("QLinearConcat", quantised("QLinearConcat", [*Y, *X, *X], domain="com.microsoft", axis=1))


def test_operators_that_quantise_as_they_run_become_products() -> None:
    more = {"domain": "com.microsoft"}
    weight = {"w": RANDOM.integers(0, 255, (6, 5)).astype(np.uint8), "ws": np.float32(0.02), "wz": np.uint8(130),
              "b": weights(5)}  # fmt: skip
    made = node("DynamicQuantizeMatMul", ["x", "w", "ws", "wz", "b"], ["y"], **more)
    gone("DynamicQuantizeMatMul", network([made], {"x": ([4, 6], FLOAT)}, [("y", FLOAT)], weight))
    made = node("MatMulIntegerToFloat", ["x", "w", "xs", "ws", "xz", "wz", "b"], ["y"], **more)
    stored = {**weight, "xs": np.float32(0.1), "xz": np.uint8(3)}
    gone("MatMulIntegerToFloat", network([made], {"x": ([4, 6], UINT8)}, [("y", FLOAT)], stored))
    stored = {"w": RANDOM.integers(0, 255, (5, 2, 8)).astype(np.uint8), "s": np.abs(weights(10))}
    made = node("MatMulNBits", ["x", "w", "s"], ["y"], K=32, N=5, bits=4, block_size=16, **more)
    gone("MatMulNBits", network([made], {"x": ([3, 32], FLOAT)}, [("y", FLOAT)], stored))


@pytest.mark.parametrize("kind", [0, TensorProto.INT16, TensorProto.INT8])
def test_quantising_by_blocks_needs_no_zero_point(kind: int) -> None:
    more = {"output_dtype": kind} if kind else {}
    made = node("QuantizeLinear", ["x", "s"], ["y"], axis=1, block_size=2, **more)
    stored = {"s": np.abs(weights(4, 3)) / 20 + 0.001}
    gone("QuantizeLinear", network([made], {"x": ([4, 5], FLOAT)}, [("y", kind or UINT8)], stored, opset=21))


@pytest.mark.parametrize("mode", ["TF", "IDF", "TFIDF"])
@pytest.mark.parametrize(("least", "gaps", "shape"), [(1, 0, [9]), (1, 2, [2, 9]), (2, 5, [2, 4])])
def test_runs_of_integers_are_counted(mode: str, least: int, gaps: int, shape: list[int]) -> None:
    """Of single numbers, pairs and threes; gaps between their items may be longer than the row."""
    pool = [2, 3, 5, 4, 5, 6, 1, 7, 0, 1, 2]
    made = node("TfIdfVectorizer", ["x"], ["y"], mode=mode, min_gram_length=least, max_gram_length=3,
                max_skip_count=gaps, ngram_counts=[0, 2, 8], ngram_indexes=[0, 4, 2, 3, 1, 6], pool_int64s=pool,
                weights=[0.5, 2.0, 1.0, 3.0, 0.25, 4.0])  # fmt: skip
    gone("TfIdfVectorizer", network([made], {"x": (shape, INT64)}, [("y", FLOAT)]))


def test_quantised_products_and_choices() -> None:
    more = {"domain": "com.microsoft"}
    stored = {"xs": np.float32(0.05), "xz": np.uint8(120), "w": RANDOM.integers(-90, 90, (5, 6)).astype(np.int8),
              "ws": np.abs(weights(5)) + 0.1, "wz": np.zeros(5, np.int8), "b": np.arange(5, dtype=np.int32) * 9,
              "ys": np.float32(0.9), "yz": np.uint8(99), "c": np.array([True, False] * 3),
              "o": RANDOM.integers(0, 255, (4, 6)).astype(np.uint8)}  # fmt: skip
    real = ["x", "xs", "xz", "w", "ws", "wz", "b"]
    gemm = node("QGemm", real, ["y"], transB=1, alpha=0.5, **more)
    gone("QGemm", network([gemm], {"x": ([4, 6], UINT8)}, [("y", FLOAT)], stored))
    gemm = node("QGemm", [*real, "ys", "yz"], ["y"], transB=1, **more)
    gone("QGemm", network([gemm], {"x": ([4, 6], UINT8)}, [("y", UINT8)], stored))
    chosen = node("QLinearWhere", ["c", "x", "xs", "xz", "o", "ys", "yz", "ys", "yz"], ["y"], **more)
    gone("QLinearWhere", network([chosen], {"x": ([4, 6], UINT8)}, [("y", UINT8)], stored))
    gone("QuickGelu", single("QuickGelu", [3, 4], alpha=1.2, **more))


def test_a_step_of_small_quantised_outputs_is_no_difference() -> None:
    """Of probabilities of 40 classes the largest is some steps: one step is more than a fiftieth of it."""
    stored = {"xs": np.float32(0.05), "xz": np.uint8(120), "ys": np.float32(1 / 256), "yz": np.uint8(0)}
    nodes = [
        node("QLinearSoftmax", ["x", "xs", "xz", "ys", "yz"], ["r"], domain="com.microsoft", axis=1, opset=17),
        node("DequantizeLinear", ["r", "ys", "yz"], ["y"]),
    ]
    original = network(nodes, {"x": ([4, 40], UINT8)}, [("y", FLOAT)], stored)
    gone("QLinearSoftmax", original)
    more = [*nodes, node("Add", ["y", "ys"], ["z"])]
    beside = network(more, {"x": ([4, 40], UINT8)}, [("z", FLOAT)], stored)
    assert compared(original, beside, [TensorType("x", [4, 40], "uint8")], 0).max_abs_diff == 1 / 256


def test_a_quantised_mean_keeps_or_drops_its_axes_in_each_opset() -> None:
    """ONNX Runtime has none on a CPU to compare with: the values are those of the mean itself."""
    for opset in (17, 18):
        for keepdims, shape in ((1, (1, 1, 6, 1)), (0, (1, 6))):
            model = quantised("QLinearReduceMean", [*X, *Y], domain="com.microsoft", axes=[1, 3], keepdims=keepdims)
            model.opset_import[0].version = opset
            x = RANDOM.standard_normal((1, 3, 6, 6)).astype(np.float32)
            found, _ = numpy_run(rewritten(model), x)
            assert found.shape == shape
            np.testing.assert_allclose(found.ravel(), x.mean(axis=(1, 3)).ravel(), atol=0.213 / 2 + 0.047)


def test_an_integer_convolution_is_exact() -> None:
    stored = {"w": RANDOM.integers(0, 255, (4, 64, 3, 3)).astype(np.uint8), "xz": np.uint8(3), "wz": np.uint8(7)}
    made = node("ConvInteger", ["x", "w", "xz", "wz"], ["y"])
    model = network([made], {"x": ([1, 64, 5, 5], UINT8)}, [("y", INT32)], stored)
    gone("ConvInteger", model)
    assert compared(model, rewritten(model), [TensorType("x", [1, 64, 5, 5], "uint8")], 0).max_abs_diff == 0


# -- never another network ---------------------------------------------------------------------------------------------


def test_products_of_integers_do_not_saturate_in_what_is_expected() -> None:
    """On processors without an instruction for them ONNX Runtime adds pairs in 16 bits: 64,770 became 32,767."""
    model = network(
        [node("MatMulInteger", ["x", "w"], ["y"])],
        {"x": ([2, 8], UINT8)},
        [("y", INT32)],
        {"w": np.full((8, 16), 127, np.int8)},
    )
    [found] = original_outputs(model, {"x": np.full((2, 8), 255, np.uint8)})
    np.testing.assert_array_equal(found, np.full((2, 16), 8 * 255 * 127))


def test_a_network_that_differs_is_refused() -> None:
    one = network([node("Relu", ["x"], ["y"])], {"x": ([4], FLOAT)}, [("y", FLOAT)])
    types = [TensorType("x", [4], "float32")]
    for other, words in (
        (node("Neg", ["x"], ["y"]), "differs by up to"),
        (node("Cast", ["x"], ["y"], to=11), "float64"),
    ):
        with pytest.raises(ImportFailed, match=f"another one than that of the file: output y .*{words}"):
            compared(one, network([other], {"x": ([4], FLOAT)}, [("y", TensorProto.FLOAT)]), types, 0)


def test_small_outputs_are_compared_at_their_own_scale() -> None:
    """Probabilities of a thousand classes are some thousandths each: a hundredth more of one is far below 1e-3."""
    types = [TensorType("x", [1, 1000], "float32")]

    def probabilities(*more: Any) -> Any:
        nodes = [node("Softmax", ["x"], ["p"]), *more]
        stored = {"more": np.float32(1.01)}
        return network(nodes, {"x": ([1, 1000], FLOAT)}, [(nodes[-1].output[0], FLOAT)], stored)

    with pytest.raises(ImportFailed, match="differs by up to"):
        compared(probabilities(), probabilities(node("Mul", ["p", "more"], ["q"])), types, 0)
    equal = compared(probabilities(), probabilities(node("Identity", ["p"], ["q"])), types, 0)
    assert (equal.inputs, equal.max_abs_diff) == (3, 0)


def test_a_pool_undone_to_a_size_of_its_own_is_refused_by_name() -> None:
    made = node("MaxUnpool", ["x", "i", "size"], ["y"], kernel_shape=[2, 2], strides=[2, 2])
    stored = {"i": np.array([[[[5, 7], [13, 15]]]]), "size": np.array([1, 1, 5, 5])}
    with pytest.raises(ImportFailed, match=r"MaxUnpool \(node y\): an output shape of its own"):
        rewritten(network([made], {"x": ([1, 1, 2, 2], FLOAT)}, [("y", FLOAT)], stored))


def test_a_random_operator_is_refused_by_name() -> None:
    made = [node("RandomNormal", [], ["r"], shape=[3], name="noise"), node("Add", ["x", "r"], ["y"])]
    with pytest.raises(ImportFailed, match=r"RandomNormal \(node noise\): gives other values at each call"):
        rewritten(network(made, {"x": ([3], FLOAT)}, [("y", FLOAT)]))


def test_the_places_of_a_pool_are_counted_over_its_whole_input() -> None:
    made = node("MaxPool", ["x"], ["y", "at"], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1], ceil_mode=1)
    model = network([made], {"x": ([2, 3, 6, 5], FLOAT)}, [("y", FLOAT), ("at", INT64)])
    gone("MaxPool", model)
