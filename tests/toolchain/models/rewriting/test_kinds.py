"""Rules for kinds that people seldom have: each gives what the network of the file gives, on random inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from sweep.errors import ImportFailed
from sweep.toolchain.models.expected_output import run_onnxruntime, run_reference_evaluator
from sweep.toolchain.models.onnx_not_as_it_is import check_as_it_is
from sweep.toolchain.models.onnx_types import input_types
from sweep.toolchain.models.rewriting.against_original import compared
from sweep.toolchain.models.rewriting.rewrite import rewritten
from sweep.toolchain.models.rewriting.rules.not_numbers import concerned
from sweep.toolchain.models.rewriting.values_met import met_in
from tests.corpus.edges import trees

node = helper.make_node
FLOAT, UINT8, INT32, INT64, BOOL, HALF, UINT64 = 1, 2, 6, 7, 9, 10, 13
LEARNING, TRAINING = "ai.onnx.ml", "ai.onnx.preview.training"
RANDOM = np.random.default_rng(3)


def network(
    nodes: Sequence[Any],
    inputs: Mapping[str, tuple[Sequence[int], int]],
    outputs: Sequence[str],
    stored: Mapping[str, Any] | None = None,
    opset: int = 19,
) -> Any:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, (shape, kind) in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(np.array(value, order="C"), name) for name, value in (stored or {}).items()],
    )
    opsets = [helper.make_opsetid(*one) for one in (("", opset), (LEARNING, 3), (TRAINING, 1))]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return onnx.shape_inference.infer_shapes(made)


def same(model: Any) -> set[str]:
    """The operators of the rewritten network, which gave the same on three random inputs."""
    made = rewritten(model)
    comparison = compared(model, made, input_types(made, model), seed=0)
    assert (comparison.inputs, comparison.not_compared) == (3, None)
    return {one.op_type for one in made.graph.node}


def of_learning(
    operator: str, outputs: Sequence[str] = ("y",), kind: int = FLOAT, *, opset: int = 19, **attributes: Any
) -> Any:
    nodes = [node(operator, ["x"], list(outputs), domain=LEARNING, **attributes)]
    return network(nodes, {"x": ([6, 3], kind)}, outputs, opset=opset)


TARGETS = {
    "target_treeids": [0, 0, 0, 1, 1],
    "target_nodeids": [2, 3, 4, 1, 2],
    "target_ids": [0, 0, 0, 0, 0],
    "target_weights": [0.5, -1.5, 2.0, 3.0, 0.25],
}
CLASSES = {name.replace("target", "class"): value for name, value in TARGETS.items()}
SEVERAL = {**CLASSES, "class_ids": [0, 1, 2, 1, 2]}
MODES = ("BRANCH_LEQ", "BRANCH_GT", "BRANCH_LEQ")

VECTORS = {
    "classlabels_ints": [3, 5, 8],
    "vectors_per_class": [2, 1, 2],
    "coefficients": [0.5, -1.5, 2.0, 1.0, 0.25, -0.5, 1.5, -2.0, -1.0, 0.75],
    "support_vectors": np.random.default_rng(4).standard_normal(15).tolist(),
    "rho": [0.1, -0.2, 0.3],
}
OF_TWO = {
    **VECTORS,
    "classlabels_ints": [0, 1],
    "vectors_per_class": [2, 3],
    "coefficients": [0.5, -1.5, 2.0, 1.0, 0.25],
    "rho": [0.1],
}

LEARNED = {
    "vectors of three classes": of_learning(
        "SVMClassifier", ("l", "y"), kernel_type="RBF", kernel_params=[0.5, 0.0, 3.0], **VECTORS
    ),
    "vectors of two classes": of_learning(
        "SVMClassifier", ("l", "y"), kernel_type="POLY", kernel_params=[0.5, 1.0, 2.0], **OF_TWO
    ),
    "vectors as they are": of_learning("SVMClassifier", ("l", "y"), kernel_type="LINEAR", **VECTORS),
    "scaler": of_learning("Scaler", offset=[0.5, 1.0, -1.0], scale=[2.0, 0.5, 3.0]),
    "scaler of integers": of_learning("Scaler", kind=INT64, offset=[0.5], scale=[2.0]),
    "largest norm": of_learning("Normalizer", norm="MAX"),
    "norm": of_learning("Normalizer", norm="L2"),
    "binarizer": of_learning("Binarizer", threshold=0.25),
    "imputer": of_learning("Imputer", imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=float("nan")),
    "encoder": of_learning(
        "LabelEncoder", kind=INT64, keys_int64s=[1, 2, 5], values_floats=[0.5, 1.5, -1.0], default_float=9.0
    ),
    "linear": of_learning(
        "LinearRegressor", targets=2, coefficients=[1.0, -2.0, 0.5, 0.1, 0.2, 0.3], intercepts=[1.0, -1.0]
    ),
    "linear classes": of_learning(
        "LinearClassifier",
        ("l", "y"),
        coefficients=[1.0, -2.0, 0.5, 0.1, 0.2, 0.3, -1.0, 1.0, 0.0],
        intercepts=[0.1, 0.2, 0.3],
        classlabels_ints=[4, 7, 9],
        post_transform="SOFTMAX",
    ),
    "trees": of_learning("TreeEnsembleRegressor", **trees(MODES, n_targets=1, base_values=[0.5], **TARGETS)),
    "mean of trees": of_learning(
        "TreeEnsembleRegressor", **trees(("BRANCH_LT",) * 3, n_targets=1, aggregate_function="AVERAGE", **TARGETS)
    ),
    "trees of classes": of_learning(
        "TreeEnsembleClassifier",
        ("l", "y"),
        **trees(MODES, classlabels_int64s=[3, 5, 8], post_transform="SOFTMAX", **SEVERAL),
    ),
    "trees of the second class": of_learning(
        "TreeEnsembleClassifier",
        ("l", "y"),
        **trees(MODES, classlabels_int64s=[0, 1], post_transform="LOGISTIC", **{**CLASSES, "class_ids": [1] * 5}),
    ),
    "trees of two classes": of_learning(
        "TreeEnsembleClassifier",
        ("l", "y"),
        **trees(MODES, classlabels_int64s=[0, 1], post_transform="LOGISTIC", **CLASSES),
    ),
}


@pytest.mark.parametrize("model", LEARNED.values(), ids=list(LEARNED))
def test_operators_of_classic_learning(model: Any) -> None:
    assert not any(made.startswith(("Tree", "Linear", "Scaler", "SVM")) for made in same(model))


@pytest.mark.parametrize("mode", ["BRANCH_LEQ", "BRANCH_GTE"])
def test_a_column_is_taken_of_what_trees_give_before_opset_16(mode: str) -> None:
    """The onnx package tells no shape of `LessOrEqual` there."""
    given = trees((mode,) * 3, n_targets=1, **TARGETS)
    nodes = [
        node("TreeEnsembleRegressor", ["x"], ["y"], domain=LEARNING, **given),
        node("ArrayFeatureExtractor", ["y", "first"], ["z"], domain=LEARNING),
    ]
    model = network(nodes, {"x": ([6, 3], FLOAT)}, ["z"], {"first": np.array([0])}, opset=13)
    assert "ArrayFeatureExtractor" not in same(model)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (of_learning("LabelEncoder", kind=INT64, keys_int64s=[1], values_strings=["a"]), "texts are not supported"),
        (
            of_learning("SVMClassifier", ("l", "y"), prob_a=[0.5], prob_b=[0.1], **OF_TWO),
            "its probabilities are found by iteration",
        ),
        (of_learning("SVMClassifier", ("l", "y"), kernel_type="COSINE", **OF_TWO), "its kernel_type is COSINE; known "),
        (
            of_learning("TreeEnsembleRegressor", **trees(MODES, aggregate_function="MAX", **TARGETS)),
            "put together by MAX; SUM and AVERAGE are supported",
        ),
        (
            of_learning("TreeEnsembleRegressor", **trees(MODES, post_transform="PROBIT", **TARGETS)),
            "post_transform PROBIT is not supported",
        ),
        (
            of_learning("TreeEnsembleClassifier", ("l", "y"), **trees(MODES, classlabels_strings=["a"], **CLASSES)),
            "its classes are texts",
        ),
    ],
)
def test_what_is_not_learned_is_named(model: Any, words: str) -> None:
    with pytest.raises(ImportFailed, match=words):
        rewritten(model)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_any_tree(branches: int, seed: int) -> None:
    """A random binary tree against the walk from its root."""
    random = np.random.default_rng(seed)
    size = 2 * branches + 1  # node n goes on at 2n+1 and 2n+2, where these exist
    is_leaf = [2 * at + 2 >= size for at in range(size)]
    features, limits = random.integers(0, 3, size), random.standard_normal(size).astype(np.float32)
    weights = random.standard_normal(size).astype(np.float32)
    attributes = {
        "nodes_treeids": [0] * size,
        "nodes_nodeids": list(range(size)),
        "nodes_featureids": features.tolist(),
        "nodes_modes": ["LEAF" if leaf else "BRANCH_LEQ" for leaf in is_leaf],
        "nodes_values": limits.tolist(),
        "nodes_truenodeids": [0 if leaf else 2 * at + 1 for at, leaf in enumerate(is_leaf)],
        "nodes_falsenodeids": [0 if leaf else 2 * at + 2 for at, leaf in enumerate(is_leaf)],
        "target_treeids": [0] * sum(is_leaf),
        "target_nodeids": [at for at, leaf in enumerate(is_leaf) if leaf],
        "target_ids": [0] * sum(is_leaf),
        "target_weights": [float(weights[at]) for at, leaf in enumerate(is_leaf) if leaf],
        "n_targets": 1,
    }
    x = random.standard_normal((6, 3)).astype(np.float32)
    wanted = []
    for row in x:
        at = 0
        while not is_leaf[at]:
            at = 2 * at + (1 if row[features[at]] <= limits[at] else 2)
        wanted.append([weights[at]])
    made = rewritten(of_learning("TreeEnsembleRegressor", **attributes))
    [found] = run_reference_evaluator(made, {"x": x})
    np.testing.assert_array_equal(found, np.array(wanted, np.float32))


def forest(trees: int, depth: int, modes: Sequence[str], **leaves: Sequence[Any]) -> dict[str, Any]:
    """Whole trees. leaves: what each leaf of a tree has, by attribute."""
    random, size = np.random.default_rng(5), 2 ** (depth + 1) - 1
    first = size // 2  # of a tree's leaves
    ends = list(range(first, size))
    made = {
        "nodes_treeids": np.repeat(np.arange(trees), size).tolist(),
        "nodes_nodeids": [*range(size)] * trees,
        "nodes_featureids": random.integers(0, 3, trees * size).tolist(),
        "nodes_modes": ["LEAF" if at >= first else modes[at % len(modes)] for at in range(size)] * trees,
        "nodes_values": random.standard_normal(trees * size).tolist(),
        "nodes_truenodeids": [0 if at >= first else 2 * at + 1 for at in range(size)] * trees,
        "nodes_falsenodeids": [0 if at >= first else 2 * at + 2 for at in range(size)] * trees,
        "nodes_missing_value_tracks_true": random.integers(0, 2, trees * size).tolist(),
    }
    of_leaf = len(next(iter(leaves.values())))
    for name, values in leaves.items():
        prefix, _, what = name.partition("_")
        made[f"{prefix}_treeids"] = np.repeat(np.arange(trees), len(ends) * of_leaf).tolist()
        made[f"{prefix}_nodeids"] = np.repeat(ends, of_leaf).tolist() * trees
        made[name] = [*values] * (trees * len(ends)) if what == "ids" else None
        made[f"{prefix}_weights"] = random.standard_normal(trees * len(ends) * of_leaf).tolist()
    return made


MANY = {
    "trees": ("TreeEnsembleRegressor", ("y",), {"n_targets": 1, "target_ids": [0]}, ["BRANCH_LEQ"]),
    "targets of a leaf": ("TreeEnsembleRegressor", ("y",), {"n_targets": 2, "target_ids": [0, 1]}, ["BRANCH_LT"]),
    "one of two": ("TreeEnsembleRegressor", ("y",), {"n_targets": 2, "target_ids": [1]}, ["BRANCH_GT", "BRANCH_NEQ"]),
    "classes": ("TreeEnsembleClassifier", ("l", "y"), {"classlabels_int64s": [3, 5], "class_ids": [1]}, MODES),
}


@pytest.mark.parametrize("opset", [9, 13, 19])
@pytest.mark.parametrize(("operator", "outputs", "about", "modes"), MANY.values(), ids=list(MANY))
def test_a_large_forest_is_walked_through(
    operator: str, outputs: Sequence[str], about: Mapping[str, Any], modes: Sequence[str], opset: int
) -> None:
    """Matrices would have a value for each pair of a condition and a leaf: 73 MB for the 4,500 of these 300 trees."""
    leaves = {name: values for name, values in about.items() if name.endswith("_ids")}
    more = {name: value for name, value in about.items() if name not in leaves}
    model = of_learning(operator, outputs, opset=opset, **forest(300, 4, modes, **leaves), **more)
    made = rewritten(model)
    assert sum(numpy_helper.to_array(tensor).nbytes for tensor in made.graph.initializer) < 1e6
    assert (compared(model, made, input_types(made, model), seed=0)).inputs == 3
    x = np.where(RANDOM.random((6, 3)) < 0.3, np.nan, RANDOM.standard_normal((6, 3))).astype(np.float32)
    content = (one.SerializeToString() for one in (model, made))
    for wanted, found in zip(*(run_onnxruntime(one, {"x": x}) for one in content), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("trees", [2, 300], ids=["in matrices", "walked"])
@pytest.mark.parametrize(
    ("given", "value", "why"),
    [
        ("nodes_truenodeids", 0, "goes in a circle"),
        ("nodes_truenodeids", 5, "comes to one of its conditions twice"),
        ("nodes_falsenodeids", 99, "goes on at a node that it has not"),
        ("nodes_featureids", 1 << 40, "looks at feature 1099511627776 of 3"),
        ("nodes_featureids", -1, "looks at feature -1 of 3"),
        ("target_ids", 1, "adds to output 1 of 1"),
        ("target_ids", -1, "adds to output -1 of 1"),
    ],
)
def test_trees_that_lead_nowhere_are_refused(trees: int, given: str, value: int, why: str) -> None:
    """Ways that meet again and again are two to the power of that; a feature beyond the data is memory of others."""
    made = forest(trees, 4, ["BRANCH_LEQ"], target_ids=[0])
    made[given][3] = value
    with pytest.raises(ImportFailed, match=why):
        rewritten(of_learning("TreeEnsembleRegressor", n_targets=1, **made))


def step(operator: str, tensors: str, **attributes: Any) -> Any:
    inputs = {"r": ([], FLOAT), "t": ([], INT64), **{name: ([3], FLOAT) for name in tensors}}
    outputs = ["y", "z"] if len(tensors) < 4 else ["y", "z", "u"]
    return network([node(operator, list(inputs), outputs, domain=TRAINING, **attributes)], inputs, outputs)


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize(
    ("operator", "names", "attributes"),
    [
        ("Adagrad", "xgh", {"decay_factor": 0.1, "epsilon": 1e-5, "norm_coefficient": 0.01}),
        ("Momentum", "xgv", {"alpha": 0.9, "beta": 0.1, "mode": "nesterov", "norm_coefficient": 0.01}),
        ("Momentum", "xgv", {"alpha": 0.9, "beta": 0.1, "mode": "standard", "norm_coefficient": 0.01}),
        ("Adam", "xgvh", {"alpha": 0.9, "beta": 0.99, "norm_coefficient": 0.01, "norm_coefficient_post": 0.1}),
    ],
)
def test_steps_of_optimisers(count: int, operator: str, names: str, attributes: dict[str, Any]) -> None:
    made = rewritten(model := step(operator, names, **attributes))
    feeds = {"r": np.float32(0.1), "t": np.int64(count)}
    feeds |= {name: np.abs(RANDOM.standard_normal(3)).astype(np.float32) for name in names}
    for one, other in zip(run_reference_evaluator(made, feeds), run_reference_evaluator(model, feeds), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def gradient(operator: str = "Sub") -> Any:
    """Of x * x - z."""
    nodes = [
        node("Mul", ["x", "x"], ["square"]),
        node(operator, ["square", "z"], ["y"]),
        node("Gradient", ["x", "z"], ["by_x", "by_z"], domain=TRAINING, xs=["x", "z"], y="y"),
    ]
    return network(nodes, {"x": ([2, 3], FLOAT), "z": ([2, 3], FLOAT)}, ["y", "by_x", "by_z"])


def test_a_gradient_of_sums_and_products() -> None:
    x, z = RANDOM.standard_normal((2, 2, 3)).astype(np.float32)
    y, by_x, by_z = run_reference_evaluator(rewritten(gradient()), {"x": x, "z": z})
    for found, wanted in ((y, x * x - z), (by_x, 2 * x), (by_z, np.full((2, 3), -1))):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_gradient_of_anything_else_is_refused_by_name() -> None:
    with pytest.raises(ImportFailed, match="of Div is not supported; of Add, Identity, Mul, Neg, Sub it is"):
        rewritten(gradient("Div"))


def one(operator: str, inputs: Mapping[str, Any], stored: Mapping[str, Any], opset: int = 19, **attributes: Any) -> Any:
    names = [*inputs, *stored]
    return network([node(operator, names, ["y"], **attributes)], inputs, ["y"], stored, opset)


F, WHOLE = ([2, 3, 4], FLOAT), ([2, 3], INT64)
DEFORMED = {"x": ([2, 4, 5, 6], FLOAT), "w": ([6, 2, 2, 3], FLOAT), "o": ([2, 24, 6, 4], FLOAT)}

KINDS = {
    "sum along an axis of the input": one("CumSum", {"x": F, "axis": ([], INT64)}, {}, exclusive=1),
    "compress": one("Compress", {"x": F}, {"c": np.array([True, False, True])}, axis=1),
    "compress all": one("Compress", {"x": F}, {"c": np.array([False, True, True, False, True])}),
    "pad with an input": network(
        [node("Pad", ["x", "p", "v"], ["y"])],
        {"x": F, "v": ([], FLOAT)},
        ["y"],
        {"p": np.array([0, 1, 2, 1, 0, 0])},
    ),
    "power of integers": one("Pow", {"x": WHOLE}, {"e": np.array(3)}),
    "classes of floats": one("OneHot", {"x": ([5], FLOAT)}, {"d": np.array(4), "v": np.float32([-1, 2])}),
    "empty parts": network(
        [node("Split", ["x", "s"], ["a", "b", "c"], axis=1)], {"x": F}, ["a", "b", "c"], {"s": np.array([1, 0, 2])}
    ),
    "remainder of floats": one("Mod", {"x": F, "z": F}, {}, opset=19, fmod=1),
    "turned sequences": one("ReverseSequence", {"x": ([4, 3], FLOAT), "n": ([3], INT64)}, {}),
    "deformed": network(
        [node("DeformConv", ["x", "w", "o", "b", "m"], ["y"], group=2, offset_group=2, pads=[1, 0, 1, 0])],
        {**DEFORMED, "b": ([6], FLOAT), "m": ([2, 12, 6, 4], FLOAT)},
        ["y"],
    ),
}


@pytest.mark.parametrize("model", KINDS.values(), ids=list(KINDS))
def test_kinds(model: Any) -> None:
    assert same(model)


@pytest.mark.parametrize("fmod", [0, 1])
def test_remainders_of_infinities(fmod: int) -> None:
    x, z = (
        values.ravel() for values in np.meshgrid(np.float32([-3, 3, 0, np.inf]), np.float32([2, -2, np.inf, -np.inf]))
    )
    model = one("Mod", {"x": ([16], FLOAT), "z": ([16], FLOAT)}, {}, fmod=fmod)
    with np.errstate(invalid="ignore"):
        wanted = np.fmod(x, z) if fmod else np.mod(x, z)
        [found] = run_reference_evaluator(rewritten(model), {"x": x, "z": z})
    usual = np.isfinite(z) if fmod else slice(None)
    np.testing.assert_array_equal(found[usual], wanted[usual])


@pytest.mark.parametrize(("operator", "wanted"), [("ReduceMax", -np.inf), ("ReduceMin", np.inf)])
def test_a_row_of_infinities_alone_has_one_for_its_greatest(operator: str, wanted: float) -> None:
    """What TVM's code would make of it is no infinity: the network says which rows have a number."""
    nodes = [node("Where", ["c", "x", "lost"], ["m"]), node(operator, ["m", "axes"], ["y"], keepdims=0)]
    stored = {"lost": np.float32(wanted), "axes": np.array([1])}
    model = network(nodes, {"c": ([2, 3], BOOL), "x": ([2, 3], FLOAT)}, ["y"], stored)
    made = rewritten(model)
    assert {"Greater", operator} <= {used.op_type for used in made.graph.node}
    feeds = {"c": np.array([[True, False, True], [False] * 3]), "x": np.float32([[1, 9, 2], [3, 4, 5]])}
    [found] = run_reference_evaluator(made, feeds)
    np.testing.assert_array_equal(found, np.float32([2 if operator == "ReduceMax" else 1, wanted]))


@pytest.mark.parametrize(
    ("operator", "more"), [("Clip", ["zero", "one"]), ("Relu", []), ("Max", ["zero", "one"]), ("Min", ["one"])]
)
def test_nan_goes_around_what_compares(operator: str, more: list[str]) -> None:
    nodes = [node("Sqrt", ["x"], ["s"]), node(operator, ["s", *more], ["y"])]
    model = network(nodes, {"x": ([4], FLOAT)}, ["y"], {"zero": np.float32(0), "one": np.float32(1)})
    feeds = {"x": np.float32([-1, 0.25, 4, -3])}
    met = met_in(model, feeds)
    assert concerned(model, met)
    made = rewritten(model, met)
    assert "s" not in next(used.input for used in made.graph.node if used.op_type == operator)
    [found], [right] = (run_reference_evaluator(each, feeds) for each in (made, model))
    np.testing.assert_array_equal(found, right)
    assert not concerned(model, met_in(model, {"x": np.float32([1, 2, 3, 4])}))


def alone(operator: str, kind: int, shape: Sequence[int] = (2, 3), **attributes: Any) -> Any:
    return network([node(operator, ["x"], ["y"], **attributes)], {"x": (shape, kind)}, ["y"])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (one("Div", {"x": F}, {"z": np.float32(0)}), "divides by zero"),
        (one("Pow", {"x": WHOLE}, {"z": np.array(2)}), "a power of integers"),
        (alone("ReduceMax", BOOL), "of booleans, or of nothing"),
        (alone("ReduceMin", FLOAT, (2, 0)), "of booleans, or of nothing"),
        (KINDS["empty parts"], "a part has no elements"),
    ],
)
def test_what_tvm_does_otherwise_is_not_imported_as_it_is(model: Any, words: str) -> None:
    with pytest.raises(ImportFailed, match=words):
        check_as_it_is(model)


@pytest.mark.parametrize(
    "model",
    [one("Div", {"x": F}, {"z": np.float32([1, 0])}), one("Pow", {"x": F}, {"z": np.array(2)}), alone("Relu", FLOAT)],
)
def test_what_tvm_does_is_imported_as_it_is(model: Any) -> None:
    check_as_it_is(model)


def test_the_greatest_of_regions_and_large_integers_are_refused_by_name() -> None:
    regions = {"x": ([1, 1, 4, 4], FLOAT), "r": ([2, 4], FLOAT)}
    with pytest.raises(ImportFailed, match="mode max"):
        rewritten(one("RoiAlign", regions, {"b": np.array([0, 0])}, mode="max"))
    with pytest.raises(ImportFailed, match="of 64 bits without sign"):
        rewritten(
            network([node("TopK", ["x", "k"], ["y", "i"])], {"x": ([4], UINT64)}, ["y", "i"], {"k": np.array([2])})
        )


def test_a_region_along_some_axes_is_one_along_all() -> None:
    attributes = {"coordinate_transformation_mode": "tf_crop_and_resize", "mode": "linear"}
    stored = {"r": np.float32([0.4, 0.6, 0.6, 0.8]), "s": np.array([3, 3])}
    nodes = [node("Resize", ["x", "r", "", "s"], ["y"], axes=[2, 3], **attributes)]
    made = rewritten(network(nodes, {"x": ([1, 1, 4, 4], FLOAT)}, ["y"], stored))
    [resize] = made.graph.node
    assert "axes" not in {attribute.name for attribute in resize.attribute}
    feeds = {"x": RANDOM.standard_normal((1, 1, 4, 4)).astype(np.float32)}
    stored = {"r": np.float32([0, 0, 0.4, 0.6, 1, 1, 0.6, 0.8]), "s": np.array([1, 1, 3, 3])}
    full = network(
        [node("Resize", ["x", "r", "", "s"], ["y"], **attributes)], {"x": ([1, 1, 4, 4], FLOAT)}, ["y"], stored
    )
    [found], [right] = (run_reference_evaluator(each, feeds) for each in (made, full))
    np.testing.assert_array_equal(found, right)


def _branch(name: str, *nodes: Any, output: str = "z") -> Any:
    return helper.make_graph(list(nodes), name, [], [helper.make_empty_tensor_value_info(output)])


def _by_rate(length: int) -> Any:
    """A branch for frames of 4 and one for frames of 6, chosen by an input."""
    branches = {
        f"{kind}_branch": _branch(
            kind, node("Reshape", ["x", f"frame_{kind}"], ["f"]), node("MatMul", ["f", kind], ["z"])
        )
        for kind in ("then", "else")
    }
    nodes = [node("Equal", ["rate", "high"], ["is_high"]), node("If", ["is_high"], ["y"], **branches)]
    stored = {
        "high": np.int64(16000),
        "then": RANDOM.standard_normal((6, 3)).astype("float32"),
        "else": RANDOM.standard_normal((4, 3)).astype("float32"),
        "frame_then": np.array([-1, length], np.int64),
        "frame_else": np.array([-1, length], np.int64),
    }
    return network(nodes, {"x": ([12], FLOAT), "rate": ([], INT64)}, ["y"], stored)


@pytest.mark.parametrize(("length", "rate"), [(6, 16000), (4, 8000)])
def test_a_branch_that_these_shapes_rule_out_is_never_taken(length: int, rate: int) -> None:
    model = _by_rate(length)
    made = rewritten(model)
    assert {one.op_type for one in made.graph.node} <= {"Reshape", "MatMul"}
    feeds = {"x": RANDOM.standard_normal(12).astype("float32"), "rate": np.array(rate)}
    np.testing.assert_allclose(*(run_reference_evaluator(each, feeds) for each in (made, model)), rtol=1e-6)


def test_a_choice_of_which_neither_side_can_be_computed_is_refused() -> None:
    with pytest.raises(ImportFailed, match="no branch can be computed of inputs of these shapes"):
        rewritten(_by_rate(3))
