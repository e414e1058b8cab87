"""A graph as JSON has it, without its constants' numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sweep.inspection.network_graph import NetworkGraph, Node, Tensor

__all__ = ["document_of"]

VERSION = 1


def document_of(graph: NetworkGraph) -> dict[str, Any]:
    """Every node with what it takes, gives and costs; tensors and constants by name."""
    return {
        "version": VERSION,
        "format": graph.format,
        "producer": graph.producer,
        "opsets": dict(graph.opsets),
        "inputs": [tensor.name for tensor in graph.inputs],
        "outputs": [tensor.name for tensor in graph.outputs],
        "nodes": [_node(node) for node in graph.nodes],
        "tensors": {name: _tensor(tensor) for name, tensor in graph.tensors.items()},
        "constants": {name: _tensor(constant.tensor) for name, constant in graph.constants.items()},
        "notes": list(graph.notes),
    }


def _node(node: Node) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": node.name,
        "operator": node.operator,
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        "attributes": dict(node.attributes),
    }
    if node.work is not None:
        told["work"] = asdict(node.work)
    if node.parameters:
        told["parameters"] = list(node.parameters)
    return told


def _tensor(tensor: Tensor) -> Mapping[str, Any]:
    return {"shape": None if tensor.shape is None else list(tensor.shape), "dtype": tensor.dtype}
