"""What a network costs: parameters, zeros among its weights, multiply-accumulates, activations, peak memory.

A multiply-accumulate (MAC) is one product that is added to a sum; FLOPs are twice as many. Counted are convolutions,
matrix products, recurrent cells and attention; what normalises, activates or pools is not, as in published figures.
Sparse ones leave out those whose weight is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sweep.inspection.counting.peak_memory import peak_bytes
from sweep.inspection.network_graph import NetworkGraph, Node

__all__ = ["Complexity", "LayerComplexity", "complexity_of", "zeros_in"]


@dataclass(frozen=True, slots=True)
class LayerComplexity:
    """Of a node that multiplies matrices or has parameters."""

    name: str
    operator: str
    output_shape: tuple[int | str, ...] | None
    parameters: int
    weights: int
    """Numbers that it multiplies by: its parameters without biases and those of normalisations."""
    nonzeros: int
    """Of the weights."""
    macs_dense: int
    macs_sparse: int
    activations: int | None
    """Numbers that it gives; None where a dimension is open."""


@dataclass(frozen=True, slots=True)
class Complexity:
    """Of a network. A constant that several layers use counts once among its weights, and in each of them as work."""

    parameters: int
    weights: int
    nnz: int
    """Weights that are not zero."""
    sparsity: float | None
    """Share of the weights that are zero; None where there are none."""
    macs_dense: int
    macs_sparse: int
    activations: int
    """Numbers that all its layers give."""
    peak_activation_bytes: int | None
    """The most memory that values need at once, run in the order of the file; None where a dimension is open."""
    layers: tuple[LayerComplexity, ...] = ()

    def totals(self) -> dict[str, Any]:
        """As JSON has them, without the layers; FLOPs are there for whoever compares with figures in FLOPs."""
        told = {name: value for name, value in asdict(self).items() if name != "layers"}
        return {**told, "flops_dense": 2 * self.macs_dense, "flops_sparse": 2 * self.macs_sparse}


def complexity_of(graph: NetworkGraph) -> Complexity:
    """Counts a network. Reads each of its weights once."""
    sizes = {name: constant.tensor.elements or 0 for name, constant in graph.constants.items()}
    weights = dict.fromkeys(name for node in graph.nodes if node.work for name in node.work.weights)
    zeros = {name: zeros_in(graph, name) for name in weights}
    layers = tuple(_layer(graph, node, sizes, zeros) for node in graph.nodes if node.work or node.parameters)
    total = sum(sizes[name] for name in weights)
    nonzeros = total - sum(zeros.values())
    return Complexity(
        parameters=sum(sizes[name] for name in graph.parameters),
        weights=total,
        nnz=nonzeros,
        sparsity=1 - nonzeros / total if total else None,
        macs_dense=sum(layer.macs_dense for layer in layers),
        macs_sparse=sum(layer.macs_sparse for layer in layers),
        activations=sum(layer.activations or 0 for layer in layers),
        peak_activation_bytes=peak_bytes(graph),
        layers=layers,
    )


def zeros_in(graph: NetworkGraph, name: str) -> int:
    """How many numbers of a constant stand for zero."""
    import numpy as np

    constant = graph.constants[name]
    array = constant.read()
    if constant.zero is None:
        return int((constant.tensor.elements or 0) - np.count_nonzero(array))
    return int(np.count_nonzero(array == constant.zero()))


def _layer(graph: NetworkGraph, node: Node, sizes: Mapping[str, int], zeros: Mapping[str, int]) -> LayerComplexity:
    work = node.work
    used = work.weights if work else {}
    output = graph.tensors.get(node.outputs[0]) if node.outputs else None
    macs = work.macs if work else 0
    return LayerComplexity(
        name=node.name,
        operator=node.operator,
        output_shape=output.shape if output else None,
        parameters=sum(sizes[name] for name in dict.fromkeys(node.parameters)),
        weights=sum(sizes[name] for name in used),
        nonzeros=sum(sizes[name] - zeros[name] for name in used),
        macs_dense=macs,
        macs_sparse=macs - sum(uses * zeros[name] for name, uses in used.items()),
        activations=_activations(graph, node),
    )


def _activations(graph: NetworkGraph, node: Node) -> int | None:
    counts = [graph.tensors[name].elements for name in node.outputs if name in graph.tensors]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) and counts else None
