"""An ONNX network as an analysis needs it: constants are initialisers, shapes are known, vectors have one user."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sweep.toolchain.models import onnx_detached, onnx_simplify
from sweep.toolchain.models.onnx_shapes import infer_shapes, shape_of

__all__ = ["settled_onnx"]

_SMALL = 1 << 16
"""Numbers of a tensor, up to which each user gets its own: exporters store equal biases once."""


def settled_onnx(model: Any) -> Any:
    """The network so; what was given, whose inputs have fixed shapes, is used up.

    Raises ImportFailed where its shapes contradict each other.
    """
    onnx_simplify.fold_constants(model)
    model = _inferred(model)
    if _write_shapes(model):
        onnx_simplify.fold_constants(model)
        model = _inferred(model)
    _part_small(model)
    return model


def _inferred(model: Any) -> Any:
    content = onnx_detached.detach(model, only_floats=True)
    model = infer_shapes(model, None)
    onnx_detached.attach(model, content)
    return model


def _write_shapes(model: Any) -> int:
    """Put what `Shape` gives in its place: sizes are fixed by now; how many were."""
    import numpy as np
    from onnx import numpy_helper

    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    known = {value.name: shape_of(value) for value in values if value.type.tensor_type.HasField("shape")}
    kept, written = [], 0
    for node in model.graph.node:
        sizes = known.get(node.input[0]) if node.op_type == "Shape" and not node.attribute else None
        if sizes is None or None in sizes:
            kept.append(node)
            continue
        written += 1
        model.graph.initializer.append(numpy_helper.from_array(np.array(sizes, dtype=np.int64), node.output[0]))
    onnx_simplify.set_nodes(model, kept)
    return written


def _part_small(model: Any) -> None:
    uses = Counter(name for node in model.graph.node for name in node.input)
    small = {
        tensor.name: tensor
        for tensor in model.graph.initializer
        if uses[tensor.name] > 1 and 0 < _count(tensor) <= _SMALL and len(tensor.dims) < 2
    }
    seen: Counter[str] = Counter()
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name in small:
                seen[name] += 1
                if seen[name] > 1:
                    copy = type(small[name]).FromString(small[name].SerializeToString())
                    copy.name = node.input[place] = f"{name}__{seen[name]}"
                    model.graph.initializer.append(copy)


def _count(tensor: Any) -> int:
    count = 1
    for size in tensor.dims:
        count *= size
    return count
