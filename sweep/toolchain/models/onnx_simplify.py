"""The simplification of an ONNX network for inference, by means of the onnx package alone; what is computed stays the
same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.toolchain.models.onnx_sizes import outputs_bytes

__all__ = ["drop_unused", "drop_weight_inputs", "fold_constants", "remove_dropout", "set_nodes", "split_sums"]

_Array = npt.NDArray[Any]

_FOLDED_LIMIT_BYTES = 256_000_000


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
    set_nodes(model, kept)
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
        values.update(zip(node.output, results, strict=True))
        folded += 1
    set_nodes(model, kept)
    # Not np.ascontiguousarray, which gives a scalar a dimension
    model.graph.initializer.extend(numpy_helper.from_array(np.array(v, order="C"), k) for k, v in values.items() if k)
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
    set_nodes(model, kept[::-1])
    drop_weight_inputs(model)
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in wanted]
    del model.graph.initializer[:]
    model.graph.initializer.extend(initializers)


def drop_weight_inputs(model: Any) -> None:
    """Drop the inputs that only name an initialiser: a runtime must not fold what a caller may feed."""
    names = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in names]
    del model.graph.input[:]
    model.graph.input.extend(inputs)


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
        if (outputs_bytes(small, feeds) or 0) > 2 * _FOLDED_LIMIT_BYTES:  # it reckons with eight bytes a value
            return None
        named = iter(ReferenceEvaluator(small).run(None, feeds))
        results = [next(named) if name else np.zeros(0) for name in node.output]
    except Exception:  # noqa: BLE001  (left in the graph: the importer or ONNX Runtime may know it)
        return None
    arrays = [np.asarray(result) for result in results]
    return arrays if sum(array.nbytes for array in arrays) <= _FOLDED_LIMIT_BYTES else None


def _untyped(name: str) -> Any:
    import onnx

    value = onnx.ValueInfoProto()
    value.name = name
    return value


def split_sums(model: Any) -> int:
    """Write a `Sum` as a chain of `Add`; how many were. TVM imports it as broadcast, stack and a reduction, which
    fuse with nothing.
    """
    from onnx import helper

    kept, split = [], 0
    for node in model.graph.node:
        if node.op_type != "Sum" or len(node.input) < 2:
            kept.append(node)
            continue
        split += 1
        total = node.input[0]
        for number, name in enumerate(node.input[1:], start=1):
            output = node.output[0] if number == len(node.input) - 1 else f"{node.output[0]}__sum{number}"
            kept.append(
                helper.make_node("Add", [total, name], [output], name=f"{node.name or node.output[0]}__add{number}")
            )
            total = output
    set_nodes(model, kept)
    return split


def set_nodes(model: Any, nodes: list[Any]) -> None:
    """Put these nodes in the place of the network's."""
    copies = [
        type(node).FromString(node.SerializeToString()) for node in nodes
    ]  # the list below owns and frees its nodes
    del model.graph.node[:]
    model.graph.node.extend(copies)
