"""A node of an ONNX graph as a value: what rules look at and replace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "call_of", "renamed_graph"]


@dataclass(frozen=True, slots=True)
class Call:
    """An operator with its operands."""

    operator: str
    """With its domain in front, where that is not ONNX's own: `com.microsoft.QGemm`."""
    inputs: Sequence[str]
    """Empty texts stand for optional ones that are left out."""
    outputs: Sequence[str]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Texts are decoded; tensors and graphs are the onnx package's."""
    name: str = ""
    opset: int = 0
    """Whose form it has; 0: that of the network that is written."""

    def input(self, index: int) -> str:
        """A name; empty where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else ""

    def output(self, index: int) -> str:
        """A name; empty where it is left out."""
        return self.outputs[index] if index < len(self.outputs) else ""

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute's value."""
        return self.attributes.get(attribute, default)

    @property
    def label(self) -> str:
        """For people: the operator and a name to find it by."""
        return f"{self.operator} (node {self.name or ', '.join(filter(None, self.outputs))})"


def call_of(node: Any, names: Mapping[str, str], attributes: Mapping[str, Any] | None = None, opset: int = 0) -> Call:
    """A node with its values renamed, those of its subgraphs too.

    names: new ones by old. attributes: what those of a function's node refer to, as the onnx package has them. opset:
    see Call.
    """
    from onnx import AttributeProto, helper

    values: dict[str, Any] = {}
    for attribute in node.attribute:
        stored = attribute
        if attribute.ref_attr_name:
            if attributes is None or attribute.ref_attr_name not in attributes:
                continue
            stored = attributes[attribute.ref_attr_name]
        value = helper.get_attribute_value(stored)
        if stored.type == AttributeProto.GRAPH:
            value = renamed_graph(value, names)
        elif stored.type == AttributeProto.STRING:
            value = value.decode()
        elif stored.type == AttributeProto.STRINGS:
            value = [text.decode() for text in value]
        values[attribute.name] = value
    prefix = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
    return Call(
        prefix + node.op_type,
        [names.get(name, name) for name in node.input],
        [names.get(name, name) for name in node.output],
        values,
        node.name,
        opset,
    )


def renamed_graph(graph: Any, names: Mapping[str, str]) -> Any:
    """A copy of a subgraph in which what it takes from outside has another name."""
    copy = type(graph)()
    copy.CopyFrom(graph)
    _rename(copy, names)
    return copy


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    own = {value.name for value in (*graph.input, *graph.initializer)}
    own.update(name for node in graph.node for name in node.output)
    names = {old: new for old, new in names.items() if old not in own}
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)
    for output in graph.output:
        output.name = names.get(output.name, output.name)
