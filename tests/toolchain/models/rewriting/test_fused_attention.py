"""What ONNX Runtime's optimiser makes of transformers, as operators of ONNX that give what it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import helper

from sweep.errors import ImportFailed
from sweep.toolchain.models.rewriting.rewrite import rewritten
from tests.toolchain.models.rewriting.test_rewrite import FLOAT, INT32, network, operators, same, weights

Given = Mapping[str, tuple[Sequence[int], int]]

BATCH, LENGTH, WIDTH, HEADS = 2, 4, 8, 2
X: Given = {"x": ([BATCH, LENGTH, WIDTH], FLOAT)}
PROJECTED = {"w": weights(WIDTH, 3 * WIDTH), "b": weights(3 * WIDTH)}
QKV: Given = {"q": ([2, 3, 8], FLOAT), "k": ([2, 5, 8], FLOAT), "v": ([2, 5, 6], FLOAT)}
PADDED = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], np.int32)


def fused(
    operator: str,
    names: Sequence[str],
    inputs: Given,
    stored: Mapping[str, Any],
    outputs: Sequence[str] = ("y",),
    **attributes: Any,
) -> Any:
    made = helper.make_node(operator, list(names), list(outputs), domain="com.microsoft", **attributes)
    return network([made], inputs, [(name, FLOAT) for name in outputs if name], stored, opset=13)


def attention(
    mask: Any = None,
    inputs: Given | None = None,
    more: Sequence[str] = (),
    outputs: Sequence[str] = ("y",),
    **kept: Any,
) -> Any:
    stored = {**PROJECTED, **({} if mask is None else {"m": mask})}
    names = ["x", "w", "b", "" if mask is None else "m", *more]
    return fused("Attention", names, {**X, **(inputs or {})}, stored, outputs, num_heads=HEADS, **kept)


def of_heads(names: Sequence[str], stored: Mapping[str, Any], inputs: Given = QKV, **kept: Any) -> Any:
    return fused("MultiHeadAttention", names, inputs, stored, num_heads=HEADS, **kept)


def turned(shape: Sequence[int], places: Any, **kept: Any) -> Any:
    stored = {"p": places, "c": weights(16, 4), "s": weights(16, 4)}
    return fused("RotaryEmbedding", ["x", "p", "c", "s"], {"x": (shape, FLOAT)}, stored, **kept)


def embedded() -> Any:
    tables = {"words": weights(10, WIDTH), "places": weights(6, WIDTH), "kinds": weights(8, WIDTH)}
    stored = {**tables, **PROJECTED, "g": weights(WIDTH), "o": weights(WIDTH), "mask": PADDED}
    names = ["ids", "kind", *tables, "g", "o", "mask"]
    nodes = [
        helper.make_node("EmbedLayerNormalization", names, ["e", "m"], domain="com.microsoft"),
        helper.make_node("Attention", ["e", "w", "b", "m"], ["y"], domain="com.microsoft", num_heads=HEADS),
    ]
    inputs = {name: ([BATCH, LENGTH], INT32) for name in ("ids", "kind")}
    return network(nodes, inputs, [("y", FLOAT)], stored, opset=11)


def of_codes() -> Any:
    random = np.random.default_rng(5)
    stored = {
        "w": random.integers(-60, 60, (WIDTH, 3 * WIDTH)).astype(np.int8),
        "b": weights(3 * WIDTH),
        "s": np.float32(0.02),
        "z": np.uint8(128),
        "ws": np.abs(weights(3 * WIDTH)) / 100 + np.float32(0.001),
        "wz": np.zeros(3 * WIDTH, np.int8),
        "m": np.array([3, 2], np.int32),
    }
    names = ["q", "w", "b", "s", "ws", "m", "z", "wz"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QAttention", names, ["y"], domain="com.microsoft", num_heads=HEADS),
    ]
    return network(nodes, X, [("y", FLOAT)], stored, opset=13)


FUSED = {
    "a mask of keys": attention(PADDED, unidirectional=0),
    "a mask of pairs": attention(np.tril(np.ones((BATCH, LENGTH, LENGTH), np.int32))),
    "lengths": attention(np.array([2, 4], np.int32)),
    "ends and beginnings": attention(np.array([3, 4, 1, 0], np.int32)),
    "in order": attention(PADDED, unidirectional=1, mask_filter_value=-3.4e38),
    "a mask that is an input": fused(
        "Attention", ["x", "w", "b", "m"], {**X, "m": ([BATCH, LENGTH], INT32)}, PROJECTED, num_heads=HEADS
    ),
    "what is added": attention(None, {"a": ([BATCH, HEADS, LENGTH, LENGTH], FLOAT)}, ["", "a"], scale=0.2),
    "earlier keys": attention(None, {"p": ([2, BATCH, HEADS, 3, 4], FLOAT)}, ["p"], ("y", "all"), unidirectional=1),
    "queries of another text": of_heads(["q", "k", "v", "b"], {"b": weights(22)}),
    "its lengths": of_heads(["q", "k", "v", "", "m"], {"m": np.array([2, 5], np.int32)}, scale=0.3),
    "keys by heads": of_heads(
        ["q", "k", "v"], {}, {"q": ([2, 3, 8], FLOAT), "k": ([2, 2, 5, 4], FLOAT), "v": ([2, 2, 5, 4], FLOAT)}
    ),
    "turned from a place on": turned([2, 3, 16], np.array([2])),
    "turned by places": turned([2, 2, 3, 8], np.array([[0, 1, 2], [4, 5, 6]]), interleaved=1),
    "turned in part": turned([2, 3, 32], np.array([1]), rotary_embedding_dim=8, num_heads=2),
    "a sum that is given too": fused(
        "SkipLayerNormalization",
        ["x", "z", "g", "", "o"],
        {**X, "z": X["x"]},
        {"g": weights(WIDTH), "o": weights(WIDTH)},
        ("y", "", "", "sum"),
    ),
    "embedded": embedded(),
    "codes": of_codes(),
}


@pytest.mark.parametrize("model", FUSED.values(), ids=list(FUSED))
def test_each_form_gives_what_onnxruntime_gives(model: Any) -> None:
    made = same(model)
    assert all(not one.domain for one in made.graph.node)


def test_a_layer_is_normalised_in_files_of_any_opset() -> None:
    """ONNX Runtime has the operator in all, and its optimiser writes it into files of them."""
    node = helper.make_node("LayerNormalization", ["x", "g"], ["y"], axis=-1, epsilon=1e-12)
    assert operators(same(network([node], X, [("y", FLOAT)], {"g": weights(WIDTH)}, opset=11))) == {
        "LayerNormalization"
    }


def test_a_mask_of_another_form_is_refused_by_name() -> None:
    model = of_heads(["q", "k", "v", "", "m"], {"m": np.zeros(8, np.int32)}, name="heads")
    words = r"com.microsoft.MultiHeadAttention \(node heads\): a mask of the shape \[8\] is not supported"
    with pytest.raises(ImportFailed, match=words):
        rewritten(model)
