"""The layers of a network by the names that its file gives them: what a study may keep in float32."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from sweep.inspection.network_graph import NetworkGraph, Node
from sweep.suggestions import hint, listed

__all__ = ["layers_of", "places_of", "unknown_layer"]

_OPERATORS = frozenset(
    ("Conv", "ConvTranspose", "Gemm", "MatMul", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED")
)
"""Whose work is not counted where a dimension is open."""


def layers_of(graph: NetworkGraph) -> list[str]:
    """Names of the nodes that multiply data by weights, in the network's order."""
    return [node.name for node in graph.nodes if _is_layer(node)]


def places_of(patterns: Sequence[str], layers: Sequence[str]) -> list[int]:
    """The places of those that a pattern fits; * and ? as in file names."""
    return [place for place, name in enumerate(layers) if any(fnmatchcase(name, each) for each in patterns)]


def unknown_layer(patterns: Sequence[str], layers: Sequence[str]) -> tuple[str, str] | None:
    """The first pattern that fits no layer, with a hint and what is allowed; None where all fit some."""
    for pattern in patterns:
        if not places_of([pattern], layers):
            return pattern, f"{listed(layers)}{hint(pattern, layers)}"
    return None


def _is_layer(node: Node) -> bool:
    if node.work is not None and node.work.weights:
        return True
    return node.work is None and node.operator in _OPERATORS and bool(node.parameters)
