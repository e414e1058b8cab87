"""Reads a TFLite network as a graph: its outline, which is checked, and the numbers of its constants by the parser."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import StudyError
from sweep.inspection.network_graph import Constant, NetworkGraph, Node, Tensor, Work, frequencies
from sweep.study.importers.tflite.tflite_outline import CUSTOM, GraphOutline, TensorOutline, read_outline
from sweep.suggestions import hint, listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TFLITE_WORK", "builtin_operators", "read_tflite_graph"]

Shape = tuple[int, ...]
_KEEPING = frozenset("DEQUANTIZE DENSIFY QUANTIZE TRANSPOSE RESHAPE CAST".split())
_VIEWS = frozenset("RESHAPE SQUEEZE EXPAND_DIMS".split())
_RECURRENT = frozenset(
    "LSTM RNN UNIDIRECTIONAL_SEQUENCE_LSTM UNIDIRECTIONAL_SEQUENCE_RNN BIDIRECTIONAL_SEQUENCE_LSTM "
    "BIDIRECTIONAL_SEQUENCE_RNN SVDF".split()
)
_STORED = {"bfloat16": "uint16", "int4": "uint8", "uint4": "uint8"}
"""As the bytes of types that numpy lacks are read."""


def read_tflite_graph(path: Path, inputs: Mapping[str, Sequence[int]]) -> NetworkGraph:
    """The network of a file; `inputs`: shapes by name, which must be the file's own. Raises StudyError."""
    try:
        outline = read_outline(path)
    except (ValueError, OSError) as error:
        allowed = "a TFLite model, whole"
        raise StudyError(
            "is no TFLite model, or a damaged one", key="MODEL", value=str(path), allowed=allowed
        ) from error
    graph = outline.graphs[0]
    names = graph.unique_names()
    tensors = {name: _tensor(name, each) for name, each in zip(names, graph.tensors, strict=True)}
    _check(inputs, {names[index]: tensors[names[index]] for index in graph.inputs})
    parsed = cache(partial(_parsed, path))
    constants = {
        names[index]: _constant(parsed, index, tensors[names[index]], each)
        for index, each in enumerate(graph.tensors)
        if each.is_constant
    }
    nodes = _nodes(graph, names, tensors, constants)
    known = builtin_operators()
    every = [_operator(one.code, one.custom, known) for each in outline.graphs for one in each.operators]
    taken = [tensors[names[index]] for index in graph.inputs]
    if any(tensor.elements is None for tensor in taken):  # the shapes behind it are for some size, which nobody tells
        nodes = [replace(node, work=None) for node in nodes]
        tensors = {name: replace(tensor, shape=None) for name, tensor in tensors.items() if tensor not in taken} | {
            tensor.name: tensor for tensor in taken
        }
    return NetworkGraph(
        format="tflite",
        inputs=tuple(tensors[names[index]] for index in graph.inputs),
        outputs=tuple(tensors[names[index]] for index in graph.outputs),
        nodes=tuple(nodes),
        tensors={name: tensor for name, tensor in tensors.items() if name not in constants},
        constants=constants,
        operators=frequencies(every),
        notes=tuple(_notes(taken, nodes, every)),
    )


def _notes(taken: Sequence[Tensor], nodes: Sequence[Node], operators: Sequence[str]) -> Iterator[str]:
    unknown = [node.name for node in nodes if node.operator in TFLITE_WORK and node.work is None]
    if open_ones := [tensor.name for tensor in taken if tensor.elements is None]:
        yield f"the file leaves the size of {listed(open_ones)} open, so that no layer's work is known"
    elif unknown:
        yield (
            f"{len(unknown)} of the layers have sizes that the network computes as it runs, and are not counted "
            f"({unknown[0]} is the first)"
        )
    if uncounted := sorted(_RECURRENT.intersection(operators)):
        yield f"the products of {listed(uncounted)} are not counted"


@lru_cache(maxsize=1)
def builtin_operators() -> Mapping[int, str]:
    """The format's own operators by their codes."""
    from tflite import BuiltinOperator

    named = {code: name for name, code in vars(BuiltinOperator).items() if isinstance(code, int)}
    return {code: name for code, name in named.items() if name != "PLACEHOLDER_FOR_GREATER_OP_CODES"}


def _check(inputs: Mapping[str, Sequence[int]], known: Mapping[str, Tensor]) -> None:
    for name, shape in inputs.items():
        if name not in known:
            problem = f"is no input of the network{hint(name, known)}"
            raise StudyError(problem, key="--input", value=name, allowed=listed(known))
        if tuple(shape) != known[name].shape:
            own = ",".join(map(str, known[name].shape or ()))
            problem = "is another shape than the file's, which a TFLite model is inspected with"
            raise StudyError(problem, key="--input", value=f"{name}={','.join(map(str, shape))}", allowed=own)


def _tensor(name: str, outline: TensorOutline) -> Tensor:
    """An open leading dimension is what the file has in its place, which is 1."""
    given = zip(outline.shape, outline.signature or outline.shape, strict=True)
    sizes = tuple("?" if size < 0 or (open_ < 0 and at > 0) else size for at, (size, open_) in enumerate(given))
    return Tensor(name, sizes, outline.dtype)


def _constant(parsed: Callable[[], Any], index: int, tensor: Tensor, outline: TensorOutline) -> Constant:
    def read() -> NDArray[Any]:
        import numpy as np

        held = parsed()
        own = held.Subgraphs(0).Tensors(index)
        dtype = np.dtype(_STORED.get(outline.dtype or "", outline.dtype or "uint8"))
        stored = np.frombuffer(held.Buffers(own.Buffer()).DataAsNumpy().tobytes(), dtype)
        whole = tensor.elements == stored.size and not outline.is_sparse
        return stored.reshape(outline.shape) if whole else stored

    def zero() -> NDArray[Any]:
        import numpy as np

        points = np.array(outline.zero_points or (0,))
        along = [points.size if at == outline.axis else 1 for at in range(len(outline.shape))]
        return points if points.size == 1 else points.reshape(along)

    return Constant(tensor, read, zero if outline.scales and not outline.is_sparse else None)


def _parsed(path: Path) -> Any:
    """A file as the parser has it."""
    from tflite import Model

    return Model.GetRootAs(path.read_bytes(), 0)


def _nodes(
    graph: GraphOutline, names: Sequence[str], tensors: Mapping[str, Tensor], constants: Mapping[str, Constant]
) -> list[Node]:
    known, origin = builtin_operators(), {name: name for name in constants}
    nodes = []
    for number, one in enumerate(graph.operators):
        operator = _operator(one.code, one.custom, known)
        inputs = tuple(names[index] if index >= 0 else "" for index in one.inputs)
        outputs = tuple(names[index] for index in one.outputs)
        if operator in _KEEPING and inputs and inputs[0] in origin:
            origin[outputs[0]] = origin[inputs[0]]  # weights in half precision, or sparse ones
        work = _work(operator, inputs, outputs, tensors, origin)
        learned = () if operator in _KEEPING else tuple(_learned(inputs, origin, constants, work))
        name = f"{number} {outputs[0]}" if outputs else f"{number} {operator}"
        nodes.append(Node(name, operator, inputs, outputs, {}, work, learned, operator in _VIEWS))
    return nodes


def _operator(code: int, custom: str, known: Mapping[int, str]) -> str:
    return f"CUSTOM:{custom}" if code == CUSTOM else known.get(code, f"operator {code}")


def _learned(
    inputs: Sequence[str], origin: Mapping[str, str], constants: Mapping[str, Constant], work: Work | None
) -> list[str]:
    """Weights and biases; of an operator that multiplies no matrices, what is in floats and more than a number."""
    found = [origin[name] for name in inputs if name in origin]
    if work is None:
        found = [name for name in found if _is_learned(constants[name])]
    else:  # a transposed convolution has its output's shape among them
        found = [name for name in found if name in work.weights or _is_real(constants[name])]
    return list(dict.fromkeys(found))


def _is_learned(constant: Constant) -> bool:
    return _is_real(constant) and (constant.tensor.elements or 0) > 1


def _is_real(constant: Constant) -> bool:
    return (constant.tensor.dtype or "").startswith("float") or constant.zero is not None


def _work(
    operator: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    tensors: Mapping[str, Tensor],
    origin: Mapping[str, str],
) -> Work | None:
    if operator not in TFLITE_WORK:
        return None
    place, count = TFLITE_WORK[operator]
    try:
        shapes = [_shape(tensors[name]) if name else () for name in inputs]
        macs, weight = count(shapes, _shape(tensors[outputs[0]])), origin.get(inputs[place])
    except LookupError:
        return None
    size = math.prod(shapes[place])
    return Work(macs, {weight: macs // size} if weight is not None and size else {})


def _shape(tensor: Tensor) -> Shape:
    if tensor.elements is None or tensor.shape is None:
        raise LookupError(tensor.name)
    return tuple(int(size) for size in tensor.shape)


Count = Callable[[Sequence[Shape], Shape], int]


def _filters_first(shapes: Sequence[Shape], output: Shape) -> int:
    return math.prod(output) * math.prod(shapes[1][1:])


def _filters_last(shapes: Sequence[Shape], output: Shape) -> int:
    return math.prod(output) * math.prod(shapes[1][:-1])


def _transposed(shapes: Sequence[Shape], output: Shape) -> int:
    """Each weight at each place of the input, which comes third."""
    return math.prod(shapes[2][:-1]) * math.prod(shapes[1])


def _matrices(shapes: Sequence[Shape], output: Shape) -> int:
    """Whichever of the two are transposed: their depth follows from the sizes."""
    left, right, out = (math.prod(shape[-2:]) for shape in (shapes[0], shapes[1], output))
    return math.prod(output) * math.isqrt(left * right // out) if out else 0


TFLITE_WORK: Mapping[str, tuple[int, Count]] = {
    "CONV_2D": (1, _filters_first),
    "DEPTHWISE_CONV_2D": (1, _filters_last),
    "CONV_3D": (1, _filters_last),
    "FULLY_CONNECTED": (1, _filters_first),
    "TRANSPOSE_CONV": (1, _transposed),
    "BATCH_MATMUL": (1, _matrices),
}
"""Operator -> which input its weight is, and its multiply-accumulates."""
