"""What of an exported program no compiled code can do, in a line each; and which of its inputs are indices."""

from __future__ import annotations

from typing import Any

from sweep.errors import ImportFailed

__all__ = ["check_program", "check_state", "table_limits"]

_MODES = {"dropout": 2, "dropout_": 2, "native_dropout": 2, "batch_norm": 5}
"""Operator -> the argument that says whether it is of training."""
_NUMBERS = ("float64 float32 float16 bool uint8 int8 int16 int32 int64 uint16 uint32 uint64").split()
_KEEPS_VALUES = frozenset("_to_copy to view reshape flatten unsqueeze squeeze slice expand transpose permute".split())


def check_program(program: Any, subject: str) -> None:
    """Raises ImportFailed for a network in training, and for number types that no array has."""
    for node in program.graph.nodes:
        name = str(getattr(node.target, "_opname", ""))
        at = _MODES.get(name)
        if at is not None and len(node.args) > at and node.args[at] is True:
            raise ImportFailed(f"{subject} was exported in training mode ({name}): call .eval() of the module before")
    placeholders = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    for name in program.graph_signature.user_inputs:
        value = placeholders[name].meta.get("val") if name in placeholders else None
        dtype = str(getattr(value, "dtype", "")).removeprefix("torch.")
        if dtype not in _NUMBERS:
            raise ImportFailed(f"{subject} has an input of {dtype or type(value).__name__}, which no array has")
    if not program.graph_signature.user_outputs:
        raise ImportFailed(f"{subject} gives no tensor")


def check_state(program: Any, subject: str) -> None:
    """Raises ImportFailed for a network that changes its buffers or inputs. program: in core operators, which tell."""
    kept = [str(name) for name in program.graph_signature.buffers_to_mutate.values()]
    changed = [str(name) for name in program.graph_signature.user_inputs_to_mutate.values()]
    if kept or changed:
        what = f"the buffer {kept[0]!r}" if kept else f"its input {changed[0]!r}"
        raise ImportFailed(f"{subject} changes {what} when it runs: networks that keep a state are not measured")


def table_limits(program: Any) -> dict[str, int]:
    """By input, how many rows the table has that it indexes."""
    nodes = {node.name: node for node in program.graph.nodes}
    return {
        name: rows
        for name in program.graph_signature.user_inputs
        if name in nodes and (rows := _rows(nodes[name])) is not None
    }


def _indexed(name: str, arguments: Any, value: Any) -> int | None:
    """How many places an operator has where a value says which; None where it says something else."""
    if name == "embedding" and arguments[1] is value:
        return int(arguments[0].meta["val"].shape[0])
    if name in ("gather", "index_select", "scatter") and arguments[2] is value:
        return int(arguments[0].meta["val"].shape[arguments[1]])
    if name in ("index", "index_put"):
        sizes = arguments[0].meta["val"].shape
        return min((int(sizes[at]) for at, each in enumerate(arguments[1]) if each is value), default=None)
    return None


def _rows(source: Any) -> int | None:
    found, waiting, seen = [], [source], {source}
    while waiting:
        value = waiting.pop()
        for user in value.users:
            name = str(getattr(user.target, "_opname", ""))
            if (rows := _indexed(name, user.args, value)) is not None:
                found.append(rows)
            elif name in _KEEPS_VALUES and user.args[0] is value and user not in seen:
                seen.add(user)
                waiting.append(user)
    return min(found, default=None)
