"""`If`, `Loop` and `Scan` as the nodes of their bodies.

Of a branch the one that a constant condition names, or both with a choice between their outputs; of a loop its steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.errors import ImportFailed
from sweep.toolchain.models.rewriting.onnx_call import Call

if TYPE_CHECKING:
    from sweep.toolchain.models.rewriting.rewriter import Rewriter

__all__ = ["RULES"]

_MOST_STEPS = 4096
_MOST_CHOSEN_STEPS = 64
"""Of a loop that stops by its data: each of its steps is computed, and dropped behind the end."""


def _if(network: Rewriter, call: Call) -> Sequence[str]:
    condition = network.constant(call.input(0))
    branches = [call.get("then_branch"), call.get("else_branch")]
    if condition is not None:
        return _body(network, branches[0] if condition.reshape(-1)[0] else branches[1], {})
    made = [_possible(network, branch) for branch in branches]
    values = [each for each in made if not isinstance(each, ImportFailed)]
    if not values:
        raise next(each for each in made if isinstance(each, ImportFailed))
    if len(values) == 1:
        return values[0]
    return [_chosen(network, call, *pair) for pair in zip(*values, strict=True)]


def _possible(network: Rewriter, branch: Any) -> list[str] | ImportFailed:
    """The values of a branch's outputs; why it has none where inputs of these shapes end in an error in it: a network
    that takes sound of 16 kHz and of 8 kHz has a branch for each, and only one of them runs on a given length.
    """
    before = network.contradictions
    try:
        values = _body(network, branch, {})
    except ImportFailed as error:
        if network.contradictions == before:
            raise
        return error
    if network.contradictions > before:
        return ImportFailed("no branch can be computed of inputs of these shapes")
    return values


def _chosen(network: Rewriter, call: Call, one: str, other: str) -> str:
    """One of two values, by the condition of a call."""
    shape = network.shape(one)
    if one in network.sequences or shape is None or shape != network.shape(other):
        known = [network.shape(value) for value in (one, other)]
        shapes = " and ".join("one that is not known" if sizes is None else str(list(sizes)) for sizes in known)
        raise ImportFailed(f"{call.label}: its branches give different shapes ({shapes}): the output's depends on data")
    condition = network.op("Reshape", call.input(0), np.zeros(0, np.int64))
    if network.element(one) == _BOOL:
        yes, no = network.op("And", condition, one), network.op("And", network.op("Not", condition), other)
        return network.op("Or", yes, no)
    return network.op("Where", condition, one, other)


_BOOL = 9


def _loop(network: Rewriter, call: Call) -> Sequence[str]:
    body = call.get("body")
    most = network.constant(call.input(0)) if call.input(0) else np.array(_MOST_STEPS + 1)
    if most is None:
        raise ImportFailed(f"{call.label}: how often it runs depends on data")
    steps = int(most.reshape(-1)[0])
    condition = call.input(1) or network.keep(np.array(True))
    carried = list(call.inputs[2:])
    collected: list[list[str]] = [[] for _ in body.output[1 + len(carried) :]]
    for step in range(max(steps, 0)):
        known = network.constant(condition)
        if known is not None and not known.reshape(-1)[0]:
            break
        if step >= (_MOST_STEPS if known is not None else _MOST_CHOSEN_STEPS) or (known is None and collected):
            raise ImportFailed(f"{call.label}: how often it runs depends on data, or is more than {_MOST_STEPS}")
        given = [network.keep(np.array(step, np.int64)), condition, *carried]
        made = _body(network, body, dict(zip((value.name for value in body.input), given, strict=False)))
        following = made[1 : 1 + len(carried)]
        if known is None:
            choice = Call("If", [condition], call.outputs, name=call.name)
            following = [_chosen(network, choice, *pair) for pair in zip(following, carried, strict=True)]
            made[0] = network.op("And", condition, made[0])
        carried = list(following)
        condition = made[0]
        for values, value in zip(collected, made[1 + len(carried) :], strict=True):
            values.append(value)
    return [*carried, *(_stacked(network, call, values, 0) for values in collected)]


def _scan(network: Rewriter, call: Call) -> Sequence[str] | None:
    if network.source_opset < 9:
        return _batched_scan(network, call)
    return _scanned(network, call, call.inputs)


def _scanned(network: Rewriter, call: Call, inputs: Sequence[str]) -> list[str]:
    body, count = call.get("body"), int(call.get("num_scan_inputs"))
    carried, scanned = list(inputs[:-count]), list(inputs[-count:])
    ranks = [network.rank(value) or 0 for value in scanned]
    axes = [axis % rank for axis, rank in zip(call.get("scan_input_axes") or [0] * count, ranks, strict=True)]
    shape = network.shape(scanned[0])
    if shape is None or shape[axes[0]] > _MOST_STEPS:
        raise ImportFailed(f"{call.label}: how often it runs is not known, or is more than {_MOST_STEPS}")
    length = shape[axes[0]]
    backwards = call.get("scan_input_directions") or call.get("directions") or [0] * count
    collected: list[list[str]] = [[] for _ in body.output[len(carried) :]]
    for step in range(length):
        rows = [
            network.op("Gather", value, np.array(length - 1 - step if back else step), axis=axis)
            for value, axis, back in zip(scanned, axes, backwards, strict=True)
        ]
        given = dict(zip((value.name for value in body.input), [*carried, *rows], strict=True))
        made = _body(network, body, given)
        carried = made[: len(carried)]
        for values, value in zip(collected, made[len(carried) :], strict=True):
            values.append(value)
    to = call.get("scan_output_axes") or [0] * len(collected)
    reversed_outputs = call.get("scan_output_directions") or [0] * len(collected)
    stacked = [
        _stacked(network, call, values[::-1] if back else values, axis)
        for values, axis, back in zip(collected, to, reversed_outputs, strict=True)
    ]
    return [*carried, *stacked]


def _batched_scan(network: Rewriter, call: Call) -> list[str] | None:
    """Of opset 8: each element of the batch by itself."""
    if call.input(0):
        return None  # lengths of its own for each element
    shape = network.shape(call.input(1))
    if shape is None:
        return None
    results = []
    for element in range(shape[0]):
        rows = [network.op("Gather", value, np.array(element), axis=0) for value in call.inputs[1:]]
        results.append(_scanned(network, call, rows))
    return [_stacked(network, call, list(values), 0) for values in zip(*results, strict=True)]


def _body(network: Rewriter, graph: Any, given: Mapping[str, str]) -> list[str]:
    """Write a body; the values of its outputs."""
    names = network.inline(graph.node, given, initializers=graph.initializer)
    return [network.resolved(names.get(output.name, output.name)) for output in graph.output]


def _stacked(network: Rewriter, call: Call, values: Sequence[str], axis: int) -> str:
    if not values:
        raise ImportFailed(f"{call.label}: runs not once, and what it would give has no shape")
    rank = network.rank(values[0])
    if rank is None:
        raise ImportFailed(f"{call.label}: the shape of what a step gives depends on data")
    at = np.array([axis % (rank + 1)], np.int64)
    rows = [network.op("Unsqueeze", value, at) for value in values]
    return rows[0] if len(rows) == 1 else network.op("Concat", *rows, axis=int(at[0]))


RULES = {"If": _if, "Loop": _loop, "Scan": _scan}
