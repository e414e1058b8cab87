"""Operators of ai.onnx.ml, which scikit-learn's networks have: scalers, linear models, encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.rewriting.rules.learning import support_vectors, trees

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter, Rule

__all__ = ["RULES"]

_DOMAIN = "ai.onnx.ml."
_MOST_KEYS = 256
_NORMS = {"MAX": "ReduceMax", "L1": "ReduceL1", "L2": "ReduceL2"}
_FLOAT, _INT64 = 1, 7


def _floats(network: Rewriter, call: Call) -> str:
    return network.op("Cast", call.input(0), to=_FLOAT)


def _array(call: Call, attribute: str) -> np.ndarray:
    return np.array(call.get(attribute) or [], np.float32)


def _scaler(network: Rewriter, call: Call) -> Sequence[str] | None:
    centred = network.op("Sub", _floats(network, call), _array(call, "offset"))
    return [network.op("Mul", centred, _array(call, "scale"))]


def _normalizer(network: Rewriter, call: Call) -> Sequence[str] | None:
    """By the greatest value, which ONNX Runtime takes with its sign, or by a norm."""
    data = _floats(network, call)
    norm = network.reduced(_NORMS[call.get("norm", "MAX")], data, [1])
    empty = network.op("Equal", norm, np.zeros((), np.float32))
    return [network.op("Div", data, network.op("Where", empty, np.ones((), np.float32), norm))]


def _binarizer(network: Rewriter, call: Call) -> Sequence[str] | None:
    data = call.input(0)
    above = network.op("Greater", data, np.array(call.get("threshold", 0.0), network.dtype(data)))
    return [network.op("Cast", above, to=network.element(data))]


def _extractor(network: Rewriter, call: Call) -> Sequence[str] | None:
    """ArrayFeatureExtractor: columns; a row has them all."""
    rank = network.rank(call.input(0))
    if rank is None:
        return None
    data = call.input(0) if rank > 1 else network.op("Unsqueeze", call.input(0), np.array([0]))
    columns = network.op("Reshape", call.input(1), np.array([-1]))
    return [network.op("Gather", data, columns, axis=max(rank, 2) - 1)]


def _linear(network: Rewriter, call: Call, targets: int) -> str:
    weights = _array(call, "coefficients").reshape(targets, -1)
    score = network.op("MatMul", _floats(network, call), weights.T)
    offsets = _array(call, "intercepts")
    return network.op("Add", score, offsets) if offsets.size else score


def _linear_regressor(network: Rewriter, call: Call) -> Sequence[str] | None:
    score = _linear(network, call, call.get("targets", 1))
    return [trees.transformed(network, call, score)]


def _linear_classifier(network: Rewriter, call: Call) -> Sequence[str] | None:
    """As many rows of weights as classes; one alone is for the second of two."""
    labels = trees.integer_labels(call, "classlabels_ints")
    offsets = _array(call, "intercepts")
    rows = offsets.size or len(labels)
    score = _linear(network, call, rows)
    if rows == 1:
        if len(labels) != 2:
            raise ImportFailed(f"{call.label}: one row of weights for {len(labels)} classes is not supported")
        score = network.op("Concat", network.op("Neg", score), score, axis=1)
    best = network.op("ArgMax", score, axis=1, keepdims=0)
    return [network.op("Gather", np.array(labels), best), trees.transformed(network, call, score)]


def _imputer(network: Rewriter, call: Call) -> Sequence[str] | None:
    data, kind = call.input(0), network.dtype(call.input(0))
    ending = "float" if kind.kind == "f" else "int64"
    values = np.array(call.get(f"imputed_value_{ending}s") or [], kind)
    wanted = call.get(f"replaced_value_{ending}", 0)
    if not values.size:
        return None
    missing = network.op("IsNaN", data) if np.isnan(wanted) else network.op("Equal", data, np.array(wanted, kind))
    return [network.op("Where", missing, values, data)]


def _encoder(network: Rewriter, call: Call) -> Sequence[str] | None:
    """LabelEncoder between numbers."""
    from onnx import numpy_helper

    keys, values, default = (
        numpy_helper.to_array(call.get(f"{name}_tensor")) if call.get(f"{name}_tensor") is not None else None
        for name in ("keys", "values", "default")
    )
    for ending, listed, otherwise in (("int64", np.int64, -1), ("float", np.float32, -0.0)):
        if keys is None and call.get(f"keys_{ending}s") is not None:
            keys = np.array(call.get(f"keys_{ending}s"), listed)
        if values is None and call.get(f"values_{ending}s") is not None:
            values = np.array(call.get(f"values_{ending}s"), listed)
            default = np.array(call.get(f"default_{ending}", otherwise), listed)
    if keys is None or values is None or keys.dtype.kind not in "if" or values.dtype.kind not in "if":
        raise ImportFailed(f"{call.label}: texts are not supported")
    if len(keys) > _MOST_KEYS:
        raise ImportFailed(f"{call.label}: it has {len(keys)} keys; {_MOST_KEYS} are supported")
    data, kind = call.input(0), network.dtype(call.input(0))
    result = network.keep(np.array(0 if default is None else default, values.dtype).reshape(()))
    for key, value in zip(keys[::-1], values[::-1], strict=True):
        is_nan = keys.dtype.kind == "f" and np.isnan(key)
        hit = network.op("IsNaN", data) if is_nan else network.op("Equal", data, np.array(key, kind))
        result = network.op("Where", hit, np.array(value), result)
    return [result]


def _categories(network: Rewriter, call: Call) -> Sequence[str] | None:
    """OneHotEncoder of numbers; one that is no category has zeros alone."""
    known = call.get("cats_int64s")
    if not known:
        raise ImportFailed(f"{call.label}: its categories are texts: a compiled network takes numbers alone")
    rank = network.rank(call.input(0))
    if rank is None:
        return None
    codes = network.op("Unsqueeze", network.op("Cast", call.input(0), to=_INT64), np.array([rank]))
    return [network.op("Cast", network.op("Equal", codes, np.array(known)), to=_FLOAT)]


def _side_by_side(network: Rewriter, call: Call) -> Sequence[str] | None:
    """FeatureVectorizer: columns of all inputs."""
    parts = []
    for name in call.inputs:
        part, rank = network.op("Cast", name, to=_FLOAT), network.rank(name)
        parts.append(network.op("Unsqueeze", part, np.array([0])) if rank == 1 else part)
    return [network.op("Concat", *parts, axis=1)]


RULES: dict[str, Rule] = {
    _DOMAIN + "Scaler": _scaler,
    _DOMAIN + "Normalizer": _normalizer,
    _DOMAIN + "Binarizer": _binarizer,
    _DOMAIN + "ArrayFeatureExtractor": _extractor,
    _DOMAIN + "LinearRegressor": _linear_regressor,
    _DOMAIN + "LinearClassifier": _linear_classifier,
    _DOMAIN + "Imputer": _imputer,
    _DOMAIN + "LabelEncoder": _encoder,
    _DOMAIN + "OneHotEncoder": _categories,
    _DOMAIN + "FeatureVectorizer": _side_by_side,
    _DOMAIN + "SVMRegressor": support_vectors.regressor,
    _DOMAIN + "SVMClassifier": support_vectors.classifier,
    _DOMAIN + "TreeEnsembleRegressor": trees.regressor,
    _DOMAIN + "TreeEnsembleClassifier": trees.classifier,
    _DOMAIN + "TreeEnsemble": trees.ensemble,
}
