"""Stored indices of an ONNX network are held against what they index: code reads and writes where they lead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.errors import ImportFailed
from sweep.toolchain.models.onnx_shapes import known_shapes

__all__ = ["check_indices"]

_ALONG_AN_AXIS = ("Gather", "GatherElements", "Scatter", "ScatterElements")
_OF_POINTS = ("GatherND", "ScatterND")


def check_indices(model: Any) -> None:
    """model: its shapes are inferred, and what is constant in it is folded. Raises ImportFailed, with the first one."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    shapes = known_shapes(model)
    for node in model.graph.node:
        if node.op_type not in (*_ALONG_AN_AXIS, *_OF_POINTS) or len(node.input) < 2 or node.input[1] not in stored:
            continue
        indices = numpy_helper.to_array(stored[node.input[1]])
        for places, size in _places(node, indices, shapes.get(node.input[0]) or ()):
            if places.size and size is not None and not -size <= places.min() <= places.max() < size:
                name = node.name or ", ".join(node.output)
                found = places.min() if places.min() < -size else places.max()
                raise ImportFailed(f"{node.op_type} (node {name}) has the index {found} along an axis of {size}")


def _places(node: Any, indices: Any, shape: Sequence[int | None]) -> Iterator[tuple[Any, int | None]]:
    """The indices along each axis, and its size."""
    given: Mapping[str, int] = {one.name: int(one.i) for one in node.attribute}
    if node.op_type in _ALONG_AN_AXIS:
        axis = given.get("axis", 0)
        if -len(shape) <= axis < len(shape):
            yield indices, shape[axis]
    elif indices.ndim:
        first = given.get("batch_dims", 0)
        for place, size in enumerate(shape[first : first + indices.shape[-1]]):
            yield indices[..., place], size
