"""The most memory that a network's values need at once: liveness over its nodes in their order.

A value lives from the node that gives it to the last that takes it, inputs from the start, outputs to the end. A view
shares its input's memory. Weights are not counted: they are there all the time.
"""

from __future__ import annotations

from collections.abc import Mapping

from sweep.inspection.network_graph import NetworkGraph

__all__ = ["peak_bytes"]


def peak_bytes(graph: NetworkGraph) -> int | None:
    """In bytes; None where the size of a value is not known."""
    owner = _owners(graph)
    sizes: dict[str, int] = {}
    for name in set(owner.values()):
        tensor = graph.tensors.get(name)
        size = tensor.size_bytes if tensor else None
        if size is None:
            return None
        sizes[name] = size
    last = _last_uses(graph, owner)
    live = sum(sizes[name] for name in {owner[tensor.name] for tensor in graph.inputs if tensor.name in owner})
    peak, dying = live, _by_time(last)
    seen = {owner[tensor.name] for tensor in graph.inputs if tensor.name in owner}
    for time, node in enumerate(graph.nodes):
        for name in node.outputs:
            if name in owner and owner[name] not in seen:
                seen.add(owner[name])
                live += sizes[owner[name]]
        peak = max(peak, live)
        live -= sum(sizes[name] for name in dying.get(time, ()) if name in seen)
    return peak


def _owners(graph: NetworkGraph) -> dict[str, str]:
    """Value -> the value whose memory it is. Constants have none."""
    owner = {tensor.name: tensor.name for tensor in graph.inputs}
    for node in graph.nodes:
        for name in node.outputs:
            if name and name not in graph.constants:
                source = node.inputs[0] if node.is_view and node.inputs else name
                owner[name] = owner.get(source, name)
    return owner


def _last_uses(graph: NetworkGraph, owner: Mapping[str, str]) -> dict[str, int]:
    """Memory -> the number of the last node that needs it."""
    last: dict[str, int] = {}
    for time, node in enumerate(graph.nodes):
        for name in (*node.outputs, *node.inputs):
            if name in owner:
                last[owner[name]] = time
    for tensor in graph.outputs:
        if tensor.name in owner:
            last[owner[tensor.name]] = len(graph.nodes)
    return last


def _by_time(last: Mapping[str, int]) -> dict[int, list[str]]:
    ends: dict[int, list[str]] = {}
    for name, time in last.items():
        ends.setdefault(time, []).append(name)
    return ends
