"""Weights that mean something for networks that ship without any, and the simplification of a network for inference.

The light models of the onnx package fill every weight with one constant (`ConstantOfShape`), so that each channel computes the same and a
wrong layout or a swapped channel shows in no output. Seeded random weights of a trained network's scale take their place here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["fold_constants", "remove_dropout", "seed_weights"]

_Array = npt.NDArray[Any]

_PASS_THROUGH = ("Unsqueeze", "Squeeze", "Reshape", "Identity", "Flatten")
_FOLDED_LIMIT_BYTES = 256_000_000


def seed_weights(model: Any, seed: int) -> int:
    """Replace each floating-point `ConstantOfShape` of a constant shape by an initialiser of seeded random values; how many were.

    The scale comes from the consumer: He's (a normal of variance 2 over fan-in) for a convolution or a matrix product,
    0.5 to 1.5 for a factor or a variance, small for an offset or a mean. A weight's values depend on the seed and its name alone.
    """
    from onnx import numpy_helper

    known = {tensor.name: tensor for tensor in model.graph.initializer}
    users = _users(model)
    kept, made = [], []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in known:
            kept.append(node)
            continue
        shape = tuple(int(size) for size in numpy_helper.to_array(known[node.input[0]]))
        value = next((numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"), np.zeros(1, np.float32))
        name = node.output[0]
        if np.issubdtype(value.dtype, np.floating):
            array = _random(shape, _role(name, shape, users, known), _generator(seed, name)).astype(value.dtype)
            made.append(numpy_helper.from_array(array, name))
        else:
            made.append(numpy_helper.from_array(np.full(shape, value.reshape(-1)[0]), name))
    _set_nodes(model, kept)
    model.graph.initializer.extend(made)
    return len(made)


def remove_dropout(model: Any) -> int:
    """Drop `Dropout` and `Identity` nodes, which do nothing at inference; how many went.

    TVM keeps a dropout as a copy and fuses it with its producer: 5.3 ms of the 9.3 ms of a tuned SqueezeNet.
    """
    outputs = {output.name for output in model.graph.output}
    replaced: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        training = node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]
        mask_used = len(node.output) > 1 and any(node.output[1] in other.input for other in model.graph.node)
        removable = node.op_type in ("Dropout", "Identity") and not training and not mask_used
        if removable and node.output[0] not in outputs:
            replaced[node.output[0]] = replaced.get(node.input[0], node.input[0])
            continue
        for index, name in enumerate(node.input):
            node.input[index] = replaced.get(name, name)
        kept.append(node)
    _set_nodes(model, kept)
    return len(replaced)


def fold_constants(model: Any) -> int:
    """Evaluate every node whose inputs are all constant and drop what nothing uses any more; how many were folded."""
    from onnx import numpy_helper

    values: dict[str, _Array] = {}
    known = {tensor.name: tensor for tensor in model.graph.initializer}
    kept, folded = [], 0
    for node in model.graph.node:
        names = [name for name in node.input if name]
        constant = all(name in values or name in known for name in names)
        results = _evaluate(model, node, names, known, values) if constant else None
        if results is None:
            kept.append(node)
            continue
        values.update(zip(node.output, results, strict=False))
        folded += 1
    _set_nodes(model, kept)
    model.graph.initializer.extend(numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in values.items())
    drop_unused(model)
    return folded


def drop_unused(model: Any) -> None:
    """Drop nodes and initialisers that no output depends on, and the inputs that only named an initialiser."""
    wanted = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            wanted.update(node.input)
            wanted.update(_captured(node))
            kept.append(node)
    _set_nodes(model, kept[::-1])
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    names = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in names]
    for stored, new in ((model.graph.initializer, initializers), (model.graph.input, inputs)):
        del stored[:]
        stored.extend(new)


def _captured(node: Any) -> set[str]:
    """Names that a subgraph of the node (If, Loop) takes from outside."""
    names: set[str] = set()
    for attribute in node.attribute:
        for inner in attribute.g.node if attribute.HasField("g") else ():
            names.update(inner.input)
            names.update(_captured(inner))
        if attribute.HasField("g"):
            names.update(output.name for output in attribute.g.output)
    return names


def _evaluate(
    model: Any, node: Any, names: list[str], known: Mapping[str, Any], values: Mapping[str, _Array]
) -> list[_Array] | None:
    """The node's outputs, or None when it cannot or should not be evaluated (no deterministic or no small result)."""
    from onnx import helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    if (
        node.op_type.startswith("Random")
        or node.domain not in ("", "ai.onnx")
        or any(a.HasField("g") for a in node.attribute)
    ):
        return None
    feeds = {name: values[name] if name in values else numpy_helper.to_array(known[name]) for name in names}
    try:
        inputs = [
            helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
            for k, v in feeds.items()
        ]
        graph = helper.make_graph([node], "constant", inputs, [_untyped(name) for name in node.output if name])
        small = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
        results = ReferenceEvaluator(small).run(None, feeds)
    except Exception:  # left in the graph: the importer or ONNX Runtime may know it
        return None
    arrays = [np.asarray(result) for result in results]
    return arrays if sum(array.nbytes for array in arrays) <= _FOLDED_LIMIT_BYTES else None


def _untyped(name: str) -> Any:
    import onnx

    value = onnx.ValueInfoProto()
    value.name = name
    return value


def _users(model: Any) -> dict[str, list[tuple[Any, int]]]:
    users: dict[str, list[tuple[Any, int]]] = {}
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            users.setdefault(name, []).append((node, index))
    return users


def _role(name: str, shape: tuple[int, ...], users: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[str, int]:
    """What a weight is to its first consumer, with its fan-in: ("weight", n), ("factor", 0), ("offset", 0)."""
    from onnx import numpy_helper

    for node, index in users.get(name, ()):
        if node.op_type in _PASS_THROUGH and index == 0:
            new_shape = shape
            if node.op_type == "Reshape" and node.input[1] in known:
                new_shape = tuple(int(size) for size in numpy_helper.to_array(known[node.input[1]]))
            return _role(node.output[0], new_shape, users, known)
        if node.op_type in ("Conv", "ConvTranspose") and index == 1:
            return "weight", math.prod(shape[1:])
        if node.op_type == "Gemm" and index == 1:
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            return "weight", shape[-1] if transposed else shape[-2]
        if node.op_type == "MatMul":
            return "weight", shape[-2] if index == 1 and len(shape) > 1 else shape[-1]
        if node.op_type == "Mul" or (node.op_type == "BatchNormalization" and index in (1, 4)):
            return "factor", 0
    return "offset", 0


def _random(shape: tuple[int, ...], role: tuple[str, int], generator: np.random.Generator) -> _Array:
    kind, fan_in = role
    if kind == "weight":
        return generator.standard_normal(shape, dtype=np.float32) * np.float32(math.sqrt(2.0 / max(1, fan_in)))
    if kind == "factor":
        return generator.uniform(0.5, 1.5, shape)
    return generator.normal(0.0, 0.05, shape)


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")])


def _set_nodes(model: Any, nodes: list[Any]) -> None:
    copies = [
        type(node).FromString(node.SerializeToString()) for node in nodes
    ]  # the list below owns and frees its nodes
    del model.graph.node[:]
    model.graph.node.extend(copies)
