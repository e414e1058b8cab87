"""Inputs and outputs that are sequences as the tensors in them: compiled code takes and gives tensors alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["give_columns", "give_elements", "take_elements"]


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


def give_columns(model: Any) -> None:
    """In place: an output that has a row's probabilities by class, as scikit-learn's classifiers give them, becomes the
    matrix of them: a row for each, its columns in the order of the classes.
    """
    from onnx import TensorProto, helper

    makers = {name: node for node in model.graph.node for name in node.output}
    for output in model.graph.output:
        node = makers.get(output.name)
        if node is not None and (node.domain, node.op_type) == ("ai.onnx.ml", "ZipMap"):
            node.CopyFrom(helper.make_node("Identity", node.input, node.output, node.name))
            output.CopyFrom(helper.make_tensor_value_info(output.name, TensorProto.FLOAT, None))


def take_elements(model: Any) -> None:
    """In place: an input `name` that is a sequence, of which the network takes elements at places that it has stored,
    becomes an input `name_k` for each of these places. Others stay, to be refused by their kind.
    """
    inputs: list[Any] = []
    for value in model.graph.input:
        takers = _takers(model, value.name) if value.type.HasField("sequence_type") else None
        inputs += [value] if not takers else _put_in(model, value, takers)
    if inputs != list(model.graph.input):
        kept = [type(value).FromString(value.SerializeToString()) for value in inputs]
        del model.graph.input[:]
        model.graph.input.extend(kept)


def _takers(model: Any, name: str) -> dict[int, list[Any]] | None:
    """The nodes that take an element of a sequence, by its place; None where anything else is done with it."""
    from onnx import numpy_helper

    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and len(node.attribute) == 1 and node.attribute[0].HasField("t"):
            stored[node.output[0]] = node.attribute[0].t
    found: dict[int, list[Any]] = {}
    for node in model.graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute):
            return None  # what is inside may take it too
        if name in node.input:
            if node.op_type != "SequenceAt" or node.input[1] not in stored:
                return None
            at = int(numpy_helper.to_array(stored[node.input[1]]).reshape(-1)[0])
            if at < 0:
                return None  # from the end, which nothing tells
            found.setdefault(at, []).append(node)
    return None if any(output.name == name for output in model.graph.output) else found


def _put_in(model: Any, value: Any, takers: Mapping[int, list[Any]]) -> list[Any]:
    taken = {name for node in model.graph.node for name in (*node.input, *node.output)}
    taken |= {one.name for one in (*model.graph.input, *model.graph.initializer)}
    found = []
    for at, nodes in sorted(takers.items()):
        element = type(value)(name=_new(f"{value.name}_{at}", taken))
        element.type.CopyFrom(value.type.sequence_type.elem_type)
        for node in nodes:
            node.op_type = "Identity"
            del node.input[:]
            node.input.append(element.name)
        found.append(element)
    return found


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
