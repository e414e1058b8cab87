"""Reads an ONNX network as a graph, with the shapes that the onnx package infers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweep.errors import StudyError, in_one_line
from sweep.inspection.network_graph import Constant, NetworkGraph, Node, Tensor, Work, frequencies
from sweep.inspection.readers.onnx_constants import (
    constant_of_node,
    constant_of_tensor,
    dtype_name,
    learned,
    origins,
)
from sweep.inspection.readers.onnx_work import MULTIPLYING, NodeShapes, work_of
from sweep.suggestions import hint, listed

__all__ = ["graph_of_onnx", "inferred", "read_onnx_graph"]

_VIEWS = frozenset("Identity Reshape Flatten Squeeze Unsqueeze Dropout".split())
_BODIES = frozenset("If Loop Scan SequenceMap".split())
_UNCOUNTED = ("com.microsoft.Attention", "com.microsoft.MultiHeadAttention", "com.microsoft.GroupQueryAttention")
_LARGE_BYTES = 4096
"""Initialisers above it are no shapes, and are kept away from the inference, which copies them."""


def read_onnx_graph(path: Path, inputs: Mapping[str, Sequence[int]]) -> NetworkGraph:
    """The network of a file. inputs: shapes by name, over its own; an open leading dimension is 1 else.

    Raises StudyError: it is no ONNX file, or has no such input.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        if not model.graph.node:
            raise ValueError("it holds no graph")
        if any(isinstance(name, bytes) for name in _every_name(model)):  # protobuf hands on what is no UTF-8
            raise ValueError("a name in it is no text")
    except Exception as error:
        problem = f"is no ONNX model, or a damaged one: {in_one_line(error)}"
        raise StudyError(problem, key="MODEL", value=str(path), allowed="an ONNX model, whole") from error
    if model.functions:
        with suppress(Exception):  # its calls are shown as they are then
            model = onnx.inliner.inline_local_functions(model)
    close_inputs(model, inputs)
    return graph_of_onnx(inferred(model), folder=str(path.parent))


def graph_of_onnx(model: Any, folder: str = "") -> NetworkGraph:
    """The graph of a network whose shapes were inferred. folder: where weights of their own files lie."""
    graph = model.graph
    constants = {tensor.name: constant_of_tensor(tensor, folder) for tensor in graph.initializer}
    for node in graph.node:
        if (made := constant_of_node(node, constants, folder)) is not None:
            constants[node.output[0]] = made
    origin = origins(list(graph.node), constants)
    tensors = {value.name: _tensor(value) for value in (*graph.value_info, *graph.output, *graph.input)}
    kept = [node for node in graph.node if not set(node.output) <= constants.keys()]
    named = _names(kept)
    nodes = [_node(node, name, tensors, constants, origin) for node, name in zip(kept, named, strict=True)]
    operators = [operator_of(node) for node in _all_nodes(graph)]
    return NetworkGraph(
        format="onnx",
        inputs=tuple(tensors[value.name] for value in graph.input if value.name not in constants),
        outputs=tuple(tensors[value.name] for value in graph.output),
        nodes=tuple(nodes),
        tensors=tensors,
        constants=constants,
        operators=frequencies(operators),
        producer=" ".join(filter(None, (model.producer_name, model.producer_version))),
        opsets={one.domain or "ai.onnx": int(one.version) for one in model.opset_import},
        notes=tuple(_notes(nodes, operators)),
    )


def operator_of(node: Any) -> str:
    """An operator by its name, with its domain in front where it is not ONNX's own."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def close_inputs(model: Any, inputs: Mapping[str, Sequence[int]]) -> None:
    """Sets given shapes and open leading dimensions, in place. Raises StudyError where there is no such input."""
    weights = {tensor.name for tensor in model.graph.initializer}
    known = {value.name: value for value in model.graph.input if value.name not in weights}
    for name, shape in inputs.items():
        if name not in known:
            problem = f"is no input of the network{hint(name, known)}"
            raise StudyError(problem, key="--input", value=name, allowed=listed(known))
        dims = known[name].type.tensor_type.shape
        if known[name].type.tensor_type.HasField("shape") and len(dims.dim) != len(shape):
            problem = f"has the wrong number of dimensions: the network's input has {len(dims.dim)}"
            raise StudyError(problem, key="--input", value=f"{name}={','.join(map(str, shape))}")
        del dims.dim[:]
        for size in shape:
            dims.dim.add().dim_value = size
    for value in known.values():
        dims = value.type.tensor_type.shape.dim
        if len(dims) > 0 and not dims[0].dim_value:
            dims[0].dim_value = 1
    if inputs:
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")


def inferred(model: Any) -> Any:
    """With all shapes that can be inferred; as it is where they contradict each other."""
    import onnx

    light = onnx.ModelProto()
    light.CopyFrom(model)
    for tensor in light.graph.initializer:
        if len(tensor.raw_data) > _LARGE_BYTES:
            tensor.ClearField("raw_data")
    try:
        light = onnx.shape_inference.infer_shapes(light, data_prop=True)
    except Exception:  # noqa: BLE001  (what is known without is shown)
        return model
    for field in ("value_info", "output"):
        values = getattr(model.graph, field)
        del values[:]
        values.extend(getattr(light.graph, field))
    return model


def _tensor(value: Any) -> Tensor:
    tensor = value.type.tensor_type
    dtype = dtype_name(tensor.elem_type)
    if not tensor.HasField("shape"):
        return Tensor(value.name, None, dtype)
    sizes = (int(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim)
    return Tensor(value.name, tuple(sizes), dtype)


def _names(nodes: Sequence[Any]) -> list[str]:
    """A name for each node: its own, or its first output's where that is missing or taken."""
    taken: set[str] = set()
    names = []
    for number, node in enumerate(nodes):
        options = (node.name, *node.output, f"{node.op_type}_{number}", f"node {number} of {len(nodes)}")
        name = next(option for option in options if option and option not in taken)
        taken.add(name)
        names.append(name)
    return names


def _node(
    node: Any, name: str, tensors: Mapping[str, Tensor], constants: Mapping[str, Constant], origin: Mapping[str, str]
) -> Node:
    from onnx import helper

    attributes = {one.name: _plain(helper.get_attribute_value(one)) for one in node.attribute}
    operator = operator_of(node)
    made = Node(
        name,
        operator,
        tuple(node.input),
        tuple(filter(None, node.output)),
        attributes,
        _work(node, operator, attributes, tensors, constants, origin),
        is_view=operator in _VIEWS,
    )
    return Node(
        made.name, made.operator, made.inputs, made.outputs, made.attributes, made.work,
        learned(made, origin, constants), made.is_view,
    )  # fmt: skip


def _work(
    node: Any,
    operator: str,
    attributes: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    constants: Mapping[str, Constant],
    origin: Mapping[str, str],
) -> Work | None:
    if operator not in MULTIPLYING:
        return None

    def shape_of(name: str) -> tuple[int, ...] | None:
        tensor = constants[name].tensor if name in constants else tensors.get(name)
        if tensor is None or tensor.elements is None or tensor.shape is None:
            return None
        return tuple(int(size) for size in tensor.shape)

    output = shape_of(next(filter(None, node.output), ""))
    try:
        if output is None:
            return None
        shapes = [shape_of(name) for name in node.input]
        return work_of(operator, NodeShapes(shapes, output, attributes, [origin.get(name) for name in node.input]))
    except (LookupError, ValueError):
        return None


def _plain(value: Any) -> Any:
    """An attribute as JSON has it; tensors and graphs by what they are."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, Iterable) and not hasattr(value, "DESCRIPTOR"):
        return [_plain(one) for one in value]
    return f"({type(value).__name__.removesuffix('Proto').lower()})"


def _every_name(model: Any) -> Iterator[str | bytes]:
    graph = model.graph
    yield from (model.producer_name, model.producer_version, *(one.domain for one in model.opset_import))
    for named in (graph.input, graph.output, graph.value_info, graph.initializer):
        yield from (one.name for one in named)
    for value in (*graph.input, *graph.output, *graph.value_info):
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)
    for node in _all_nodes(graph):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (one.name for one in node.attribute)


def _all_nodes(graph: Any, depth: int = 0) -> Iterator[Any]:
    """Those of subgraphs too."""
    for node in graph.node:
        yield node
        if depth < 20:
            for attribute in node.attribute:
                for body in (attribute.g, *attribute.graphs):
                    yield from _all_nodes(body, depth + 1)


def _notes(nodes: Sequence[Node], operators: Sequence[str]) -> Iterator[str]:
    unknown = [node.name for node in nodes if node.operator in MULTIPLYING and node.work is None]
    if unknown:
        yield (
            f"{len(unknown)} of the layers have shapes that are not known, and are not counted ({unknown[0]} is the "
            "first): give the inputs' shapes with --input NAME=1,3,224,224"
        )
    if bodies := sorted(_BODIES.intersection(operators)):
        yield f"what the bodies of {listed(bodies)} do is not counted"
    if others := sorted(set(_UNCOUNTED).intersection(operators)):
        yield f"the products of {listed(others)} are not counted"
