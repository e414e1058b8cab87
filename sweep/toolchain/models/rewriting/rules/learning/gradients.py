"""`Gradient` of ONNX's training: how an output of sums and products moves with what they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import ImportFailed

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.onnx_call import Call
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["RULES"]

_KNOWN = ("Add", "Identity", "Mul", "Neg", "Sub")


def _gradient(network: Rewriter, call: Call) -> Sequence[str] | None:
    """Backwards through the nodes of the file, from the output to each value that it is to be told for."""
    wanted, output = list(call.get("xs") or ()), call.get("y")
    given = [*wanted, *(call.get("zs") or ())]
    shape = network.shape(output)
    if list(call.inputs) != [network.resolved(name) for name in given] or shape is None:
        return None
    moves = {output: network.keep(np.ones(shape, network.dtype(output)))}
    for node in reversed(network.source_nodes):
        name = node.output[0] if node.output else ""
        if name not in moves or name in given:
            continue
        if node.op_type not in _KNOWN or any(network.shape(one) != network.shape(name) for one in node.input):
            raise ImportFailed(f"{call.label}: of {node.op_type} is not supported; of {', '.join(_KNOWN)} it is")
        for source, move in zip(node.input, _backwards(network, node, moves.pop(name)), strict=True):
            moves[source] = network.op("Add", moves[source], move) if source in moves else move
    return [moves[name] if name in moves else _still(network, name) for name in wanted]


def _backwards(network: Rewriter, node: Any, move: str) -> list[str]:
    """What each operand of a node moves, by what its result does."""
    if node.op_type == "Mul":
        one, other = node.input
        return [network.op("Mul", move, other), network.op("Mul", move, one)]
    if node.op_type == "Neg":
        return [network.op("Neg", move)]
    return [move, network.op("Neg", move)] if node.op_type == "Sub" else [move] * len(node.input)


def _still(network: Rewriter, name: str) -> str:
    return network.keep(np.zeros(network.shape(name) or (), network.dtype(name)))


RULES = {"ai.onnx.preview.training.Gradient": _gradient}
