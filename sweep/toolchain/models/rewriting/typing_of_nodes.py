"""The types of a node's outputs, by the onnx package's own inference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["OutputTypes"]

_LIKE_FIRST = ("BiasGelu", "FastGelu", "Gelu", "QuickGelu", "SkipLayerNormalization")
"""Operators of com.microsoft whose first output is as their first input."""

_TOLD_SINCE = {"GreaterOrEqual": 16, "LessOrEqual": 16}
"""Operators of which the package tells no shape in their versions before."""


class OutputTypes:
    """Knows the versions of the operators of one network."""

    def __init__(self, opsets: Sequence[Any], ir_version: int) -> None:
        self._opsets, self._ir_version = list(opsets), ir_version
        self._versions = {opset.domain: int(opset.version) for opset in opsets}
        self.contradictions = 0
        """Nodes so far that cannot be computed of inputs of these shapes."""

    def of(self, node: Any, types: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """By the output's name, for those that can be told. values: of constant inputs, as tensors."""
        from onnx import defs, shape_inference

        if (node.domain == "com.microsoft" and node.op_type in _LIKE_FIRST) or node.op_type == "GroupNormalization":
            first = types.get(node.input[0])  # the package tells no shape of a group normalisation of opset 21
            return {} if first is None else {node.output[0]: first}
        known = {name: types[name] for name in node.input if name in types}
        try:
            version = max(self._versions.get(node.domain, 1), _TOLD_SINCE.get(node.op_type, 0))
            schema = defs.get_schema(node.op_type, version, node.domain)
            return dict(
                shape_inference.infer_node_outputs(
                    schema, node, known, dict(values), opset_imports=self._opsets, ir_version=self._ir_version
                )
            )
        except shape_inference.InferenceError:
            if all(self.shape(known.get(name)) is not None for name in node.input if name):
                self.contradictions += 1
            return {}
        except Exception:  # noqa: BLE001  (the inference of the whole network, at the end, says what contradicts what)
            return {}

    @staticmethod
    def shape(known: Any) -> tuple[int, ...] | None:
        """Of a type; None where it is not whole."""
        if known is None or not known.HasField("tensor_type") or not known.tensor_type.HasField("shape"):
            return None
        dims = known.tensor_type.shape.dim
        return tuple(dim.dim_value for dim in dims) if all(dim.HasField("dim_value") for dim in dims) else None

    @classmethod
    def count(cls, known: Any) -> int:
        """How many values a tensor of a type has; 0 where that is not told."""
        return math.prod(cls.shape(known) or (0,))
