"""Outputs that are sequences as the tensors in them: compiled code gives tensors alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["give_elements"]


def give_elements(model: Any) -> None:
    """In place: an output `name` that is a sequence of n tensors, as the network itself tells, becomes outputs `name_0`
    to `name_{n-1}`. Others stay, to be refused by their kind.
    """
    makers = {name: node for node in model.graph.node for name in node.output if name}
    taken = {*makers, *(value.name for value in (*model.graph.input, *model.graph.initializer))}
    outputs = []
    for output in model.graph.output:
        count = _elements(output.name, makers) if output.type.HasField("sequence_type") else None
        outputs += [output] if count is None else _taken_out(model, output, count, taken)
    if outputs != list(model.graph.output):
        kept = [type(output).FromString(output.SerializeToString()) for output in outputs]
        del model.graph.output[:]
        model.graph.output.extend(kept)


def _elements(name: str, makers: Mapping[str, Any]) -> int | None:
    """How many a sequence has; None where data decide, or an operator that is not looked into."""
    node = makers.get(name)
    if node is None or node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type in ("SequenceConstruct", "SequenceEmpty"):
        return len(node.input)
    change = {"SequenceInsert": 1, "SequenceErase": -1, "Identity": 0}.get(node.op_type)
    before = None if change is None else _elements(node.input[0], makers)
    return None if change is None or before is None else before + change


def _taken_out(model: Any, output: Any, count: int, taken: set[str]) -> list[Any]:
    from onnx import TensorProto, helper

    element = output.type.sequence_type.elem_type.tensor_type.elem_type
    found = []
    for number in range(count):
        name, at = (_new(f"{output.name}_{what}", taken) for what in (number, f"at_{number}"))
        place = helper.make_tensor(at, TensorProto.INT64, [], [number])
        model.graph.node.append(helper.make_node("Constant", [], [at], value=place))
        model.graph.node.append(helper.make_node("SequenceAt", [output.name, at], [name]))
        found.append(helper.make_tensor_value_info(name, element, None))
    return found


def _new(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
