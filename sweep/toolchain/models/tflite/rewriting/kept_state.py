"""State that a TFLite network keeps from call to call, as inputs and outputs.

Each variable that is read and assigned becomes an input, behind the network's own, and its value after the call an
output behind those, in the same order. What `CALL_ONCE` assigns is the value at the first call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sweep.errors import ImportFailed
from sweep.toolchain.models.tflite.rewriting.file_parts import FileParts, Operator, operators_of
from sweep.toolchain.models.tflite.rewriting.flatbuffer_front import Bytes, Scalar

__all__ = ["State", "has_state", "without_state"]

_CALL_ONCE, _VAR_HANDLE, _READ, _ASSIGN = 129, 142, 143, 144
_ALL = {_CALL_ONCE, _VAR_HANDLE, _READ, _ASSIGN}

_Variable = tuple[str, str]


@dataclass(frozen=True, slots=True)
class State:
    """A variable."""

    name: str
    tensor: int
    """Of the first graph: the input that holds it before a call."""
    after: int
    """The output that holds it after the call."""
    graph: int | None
    """Where its first value is a constant; None: it begins with zeros."""
    constant: int = 0


def has_state(parts: FileParts) -> bool:
    """Whether the network itself reads or assigns variables."""
    return any(operator.code in _ALL for operator in parts.operators)


def without_state(parts: FileParts) -> list[State]:
    """Change the parts so that the state is given and returned. Raises ImportFailed."""
    first = _first_values(parts)
    handles: dict[int, _Variable] = {}
    held: dict[_Variable, int] = {}
    taken: dict[_Variable, int] = {}
    assigned: set[_Variable] = set()
    stands_for: dict[int, int] = {}
    kept = []
    for operator in parts.operators:
        operator.inputs = [stands_for.get(index, index) for index in operator.inputs]
        if operator.code == _VAR_HANDLE:
            handles[operator.outputs[0]] = _variable(operator)
        elif operator.code == _READ:
            variable = _of_handle(handles, operator)
            if variable in held:
                stands_for[operator.outputs[0]] = held[variable]
            else:
                held[variable] = taken[variable] = operator.outputs[0]
        elif operator.code == _ASSIGN:
            variable = _of_handle(handles, operator)
            held[variable] = operator.inputs[1]
            assigned.add(variable)
        elif operator.code != _CALL_ONCE:
            kept.append(operator)
    parts.operators = kept
    parts.outputs = [stands_for.get(index, index) for index in parts.outputs]
    states: list[State] = []
    for variable, tensor in taken.items():
        graph, constant = first.get(variable, (None, 0))
        if variable not in assigned:
            _make_constant(parts, tensor, graph, constant, variable)
            continue
        name = variable[1] or f"state_{len(states)}"
        states.append(State(name, tensor, held[variable], graph, constant))
        parts.replace_tensor(tensor, name=Bytes(name.encode(), is_text=True))
    for handle in handles:  # it has the name of the variable, and nothing takes it any more
        parts.replace_tensor(handle, name=Bytes(b"", is_text=True))
    parts.inputs += [state.tensor for state in states]
    parts.outputs += [state.after for state in states]
    return states


def _first_values(parts: FileParts) -> Mapping[_Variable, tuple[int, int]]:
    """Of each variable, the graph and the tensor of its first value."""
    found: dict[_Variable, tuple[int, int]] = {}
    for call in parts.operators:
        options = call.table.table(4) if call.code == _CALL_ONCE else None
        if call.code != _CALL_ONCE:
            continue
        number = options.scalar(0, "i") if options is not None else 0
        if not 0 < number < len(parts.graph_tables):
            raise ImportFailed("CALL_ONCE calls a graph that is not there")
        graph = parts.graph_tables[number]
        handles: dict[int, _Variable] = {}
        made: set[int] = set()
        for operator in operators_of(parts.model, graph):
            if operator.code == _VAR_HANDLE:
                handles[operator.outputs[0]] = _variable(operator)
            elif operator.code == _ASSIGN and operator.inputs[1] not in made:
                found[_of_handle(handles, operator)] = (number, operator.inputs[1])
            elif operator.code == _ASSIGN:
                raise ImportFailed("a state of the network begins with a value that is computed")
            made.update(operator.outputs)
    return found


def _variable(operator: Operator) -> _Variable:
    options = operator.table.table(4)
    return ("", "") if options is None else (options.text(0), options.text(1))


def _of_handle(handles: Mapping[int, _Variable], operator: Operator) -> _Variable:
    try:
        return handles[operator.inputs[0]]
    except (KeyError, IndexError) as error:
        raise ImportFailed("a state of the network is of no variable that the file names") from error


def _make_constant(parts: FileParts, tensor: int, graph: int | None, constant: int, variable: _Variable) -> None:
    """What is only read is its first value."""
    if graph is None:
        raise ImportFailed(f"the state {variable[1]!r} is read, and nothing gives it a value")
    first = list(parts.graph_tables[graph].tables(0))[constant]
    parts.replace_tensor(tensor, buffer=Scalar("I", first.scalar(2, "I")))
