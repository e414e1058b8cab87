"""Ensembles of decision trees as products with matrices, large ones as walks.

All conditions are compared at once; a leaf is reached where as many of those on its path hold as its depth asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.rewriting.rules.learning.tree_conditions import Condition, Trees, check_trees, compared
from sweep.toolchain.models.rewriting.rules.learning.walked_trees import walked

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["classifier", "ensemble", "integer_labels", "regressor", "transformed"]

_MOST_VALUES = 1 << 20
"""Of the matrix of paths of a group of trees."""
_MOST_CONDITIONS = 4096
"""In matrices, of 16 MB then; larger ensembles are walked through."""
_BY_NUMBER = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER"]
_TRANSFORMS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]
_SUM, _AVERAGE = 1, 0
_FLOAT, _DOUBLE = 1, 11


def regressor(network: Rewriter, call: Call) -> Sequence[str] | None:
    """TreeEnsembleRegressor."""
    count = int(call.get("n_targets") or 1)
    found = _listed(call, "target")
    aggregate = call.get("aggregate_function", "SUM")
    if aggregate not in ("SUM", "AVERAGE"):
        raise ImportFailed(f"{call.label}: its trees are put together by {aggregate}; SUM and AVERAGE are supported")
    total = _summed(network, call, found, count, len(found.roots) if aggregate == "AVERAGE" else 1)
    return [transformed(network, call, _with_base(network, call, total))]


def classifier(network: Rewriter, call: Call) -> Sequence[str] | None:
    """TreeEnsembleClassifier of integer labels; weights of one class alone are those of the second of two."""
    labels = integer_labels(call, "classlabels_int64s")
    found = _listed(call, "class")
    weights = [(at, weight) for leaf in found.leaves.values() for at, weight in leaf]
    targets = {at for at, _ in weights}
    if len(labels) == 2 and len(targets) == 1:
        found = Trees(found.conditions, {k: [(0, w) for _, w in v] for k, v in found.leaves.items()}, found.roots)
        score = _with_base(network, call, _summed(network, call, found, 1))
        if all(weight >= 0 for _, weight in weights):
            rest, least = network.op("Sub", np.ones((), np.float32), score), 0.5
        else:
            rest, least = network.op("Neg", score), 0.0
        above = network.op("Greater", network.op("Squeeze", score, np.array([1])), np.array(least, np.float32))
        label = network.op("Where", above, np.array(labels[1]), np.array(labels[0]))
        if targets == {1}:  # the first class has none then, not what the second leaves
            rest = network.op("Mul", score, np.zeros((), np.float32))
        score = network.op("Concat", rest, score, axis=1)
        return [label, transformed(network, call, score)]
    score = _with_base(network, call, _summed(network, call, found, len(labels)))
    best = network.op("ArgMax", score, axis=1, keepdims=0)
    return [network.op("Gather", np.array(labels), best), transformed(network, call, score)]


def ensemble(network: Rewriter, call: Call) -> Sequence[str] | None:
    """TreeEnsemble, the form of version 5."""
    from onnx import numpy_helper

    modes, splits, weights = (
        numpy_helper.to_array(call.get(name)) for name in ("nodes_modes", "nodes_splits", "leaf_weights")
    )
    missing = call.get("nodes_missing_value_tracks_true") or [0] * len(modes)
    keys = [
        [("leaf" if leaf else "node", at) for at, leaf in zip(ids, is_leaf, strict=True)]
        for ids, is_leaf in (
            (call.get("nodes_truenodeids"), call.get("nodes_trueleafs")),
            (call.get("nodes_falsenodeids"), call.get("nodes_falseleafs")),
        )
    ]
    if any(mode == _BY_NUMBER.index("BRANCH_MEMBER") for mode in modes):
        raise ImportFailed(f"{call.label}: branches by membership are not supported")
    features = call.get("nodes_featureids")
    conditions = {
        ("node", at): Condition(features[at], _BY_NUMBER[modes[at]], float(splits[at]), bool(missing[at]), *ways)
        for at, ways in enumerate(zip(*keys, strict=True))
    }
    leaves = {
        ("leaf", at): [(t, float(w))] for at, (t, w) in enumerate(zip(call.get("leaf_targetids"), weights, strict=True))
    }
    found = Trees(conditions, leaves, [("node", at) for at in call.get("tree_roots")])
    aggregate = call.get("aggregate_function", _SUM)
    if aggregate not in (_SUM, _AVERAGE):
        raise ImportFailed(f"{call.label}: its trees are put together by their least or greatest value")
    total = _summed(network, call, found, call.get("n_targets"), len(found.roots) if aggregate == _AVERAGE else 1)
    return [transformed(network, call, network.op("Cast", total, to=network.element(call.input(0))))]


def transformed(network: Rewriter, call: Call, score: str) -> str:
    """What the `post_transform` of a call makes of a score. Raises ImportFailed for one that is not known."""
    given = call.get("post_transform", "NONE")
    name = given if isinstance(given, str) else _TRANSFORMS[given]
    if name == "NONE":
        return score
    if name == "LOGISTIC":
        return network.op("Sigmoid", score)
    if name == "SOFTMAX":
        return network.op("Softmax", score, axis=1)
    raise ImportFailed(f"{call.label}: post_transform {name} is not supported; NONE, LOGISTIC and SOFTMAX are")


def integer_labels(call: Call, attribute: str) -> list[int]:
    """The classes. Raises ImportFailed where they are texts."""
    labels = [int(label) for label in call.get(attribute) or ()]
    if not labels:
        raise ImportFailed(f"{call.label}: its classes are texts: a compiled network gives numbers alone")
    return labels


def _listed(call: Call, prefix: str) -> Trees:
    """As lists of attributes have them, by tree and node."""
    from onnx import numpy_helper

    def floats(name: str) -> Sequence[float]:
        tensor = call.get(f"{name}_as_tensor")
        return numpy_helper.to_array(tensor).tolist() if tensor is not None else call.get(name) or ()

    keys = list(zip(call.get("nodes_treeids"), call.get("nodes_nodeids"), strict=True))
    values, missing = floats("nodes_values"), call.get("nodes_missing_value_tracks_true") or [0] * len(keys)
    conditions, roots, seen = {}, [], set()
    for at, (key, mode) in enumerate(zip(keys, call.get("nodes_modes"), strict=True)):
        if key[0] not in seen:
            seen.add(key[0])
            roots.append(key)
        if mode != "LEAF":
            then, otherwise = call.get("nodes_truenodeids")[at], call.get("nodes_falsenodeids")[at]
            feature = call.get("nodes_featureids")[at]
            conditions[key] = Condition(
                feature, mode, values[at], bool(missing[at]), (key[0], then), (key[0], otherwise)
            )
    leaves: dict[Any, list[tuple[int, float]]] = {key: [] for key in keys if key not in conditions}
    places = zip(call.get(f"{prefix}_treeids"), call.get(f"{prefix}_nodeids"), strict=True)
    for key, at, weight in zip(places, call.get(f"{prefix}_ids"), floats(f"{prefix}_weights"), strict=True):
        if key in leaves:
            leaves[key].append((at, weight))
    return Trees(conditions, leaves, roots)


def _with_base(network: Rewriter, call: Call, total: str) -> str:
    from onnx import numpy_helper

    tensor = call.get("base_values_as_tensor")
    base = numpy_helper.to_array(tensor) if tensor is not None else np.array(call.get("base_values") or [])
    total = network.op("Cast", total, to=_FLOAT)
    return network.op("Add", total, base.astype(np.float32)) if base.size else total


def _paths(found: Trees, root: Any) -> Iterator[tuple[Any, list[tuple[Any, bool]]]]:
    """Each leaf under a root, with the conditions on the way and how they turn out."""
    waiting: list[tuple[Any, list[tuple[Any, bool]]]] = [(root, [])]
    while waiting:
        key, path = waiting.pop()
        if key not in found.conditions:
            yield key, path
            continue
        condition = found.conditions[key]
        waiting += [(condition.then, [*path, (key, True)]), (condition.otherwise, [*path, (key, False)])]


def _summed(network: Rewriter, call: Call, found: Trees, targets: int, parts: int = 1) -> str:
    """[rows, targets]: what the leaves that are reached add up to, divided by the number of parts.

    Raises ImportFailed.
    """
    element = network.element(call.input(0))
    data = call.input(0) if element in (_FLOAT, _DOUBLE) else network.op("Cast", call.input(0), to=_FLOAT)
    kind, shape = network.dtype(data), network.shape(data)
    check_trees(found, shape[1] if shape and len(shape) > 1 else None, targets)
    total, size = "", (0, 0)
    if len(found.conditions) > _MOST_CONDITIONS and shape:
        total = walked(network, data, shape[0], found, targets)
        return total if parts == 1 else network.op("Div", total, np.array(parts, kind))
    group: list[Any] = []
    for root in [*found.roots, None]:
        paths = list(_paths(found, root)) if root is not None else []
        nodes = len({key for _, path in paths for key, _ in path})
        if group and (root is None or (size[0] + nodes) * (size[1] + len(paths)) > _MOST_VALUES):
            part = _group(network, data, kind, found, group, targets)
            total = network.op("Add", total, part) if total else part
            group, size = [], (0, 0)
        group, size = [*group, *paths], (size[0] + nodes, size[1] + len(paths))
    if not total:
        raise ImportFailed(f"{call.label}: it has no tree")
    return total if parts == 1 else network.op("Div", total, np.array(parts, kind))


def _group(network: Rewriter, data: str, kind: Any, found: Trees, paths: Sequence[Any], targets: int) -> str:
    keys = list(dict.fromkeys(key for _, path in paths for key, _ in path))
    place = {key: at for at, key in enumerate(keys)}
    weights = np.zeros((len(paths), targets), kind)
    turns, depths = np.zeros((len(keys), len(paths)), kind), np.zeros(len(paths), kind)
    for number, (leaf, path) in enumerate(paths):
        for at, weight in found.leaves.get(leaf, ()):
            weights[number, at] += weight
        for key, turn in path:
            turns[place[key], number] = 1 if turn else -1
            depths[number] += turn
    if not keys:  # leaves alone, whatever the input
        rows = (network.shape(data) or (1,))[0]
        return network.keep(np.repeat(weights.sum(axis=0, keepdims=True), rows, axis=0))
    holds = network.op(
        "Cast", _holding(network, data, kind, [found.conditions[key] for key in keys]), to=network.element(data)
    )
    reached = network.op("Equal", network.op("MatMul", holds, turns), depths)
    return network.op("MatMul", network.op("Cast", reached, to=network.element(data)), weights)


def _holding(network: Rewriter, data: str, kind: Any, conditions: Sequence[Condition]) -> str:
    """[rows, conditions] of booleans."""
    parts, order = [], []
    for mode in dict.fromkeys(condition.mode for condition in conditions):
        ones = [at for at, condition in enumerate(conditions) if condition.mode == mode]
        values = network.op("Gather", data, np.array([conditions[at].feature for at in ones]), axis=1)
        limits = np.array([conditions[at].value for at in ones]).astype(kind)
        holds = compared(network, mode, values, limits)
        missing = np.array([conditions[at].missing_is_true for at in ones])
        if missing.any():
            holds = network.op("Or", holds, network.op("And", network.op("IsNaN", values), missing))
        parts.append(holds)
        order += ones
    if len(parts) == 1:
        return parts[0]
    together = [network.op("Cast", part, to=6) for part in parts]  # TVM concatenates no booleans
    whole = network.op("Gather", network.op("Concat", *together, axis=1), np.argsort(order), axis=1)
    return network.op("Cast", whole, to=9)
