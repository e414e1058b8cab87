"""Reads an exported program of PyTorch as a graph. Whoever has the program has imported torch: this module asks it for
nothing but what a program holds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweep.inspection.network_graph import Constant, NetworkGraph, Node, Tensor, Work, frequencies
from sweep.suggestions import listed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TORCH_WORK", "graph_of_program"]

Shape = tuple[int, ...]
_KEEPING = frozenset(
    "t transpose permute numpy_T view reshape clone contiguous detach alias to _to_copy squeeze unsqueeze".split()
)
_VIEWS = frozenset(
    "view _unsafe_view reshape flatten squeeze unsqueeze t transpose permute expand detach alias split "
    "split_with_sizes chunk select slice dropout".split()
)
_UNCOUNTED = frozenset(
    "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell _native_multi_head_attention einsum "
    "tensordot linalg_multi_dot chain_matmul bilinear mv addmv addbmm dot vdot inner cdist".split()
)
"""Operators that multiply matrices, of which that is told alone."""


def graph_of_program(program: Any) -> NetworkGraph:
    """The graph of a program whose shapes are fixed."""
    signature, state = program.graph_signature, {**program.state_dict, **program.constants}
    learned = set(signature.inputs_to_parameters)
    held = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    constants = {name: _constant(name, state[key]) for name, key in held.items() if key in state}
    every = list(program.graph.nodes)
    used = {each.name for node in every if _is_operator(node) for each in node.all_input_nodes}
    if not learned & used:  # a front end that hands its weights on as plain values, as Keras does
        learned = {name for name, each in constants.items() if _is_weight(each.tensor)}
    tensors = {node.name: _tensor(node.name, node.meta.get("val")) for node in every if node.op != "output"}
    origin = {name: name for name in constants}
    nodes = [_node(node, tensors, origin, learned) for node in every if _is_operator(node)]
    operators = [node.operator for node in nodes]
    return NetworkGraph(
        format="torch",
        inputs=tuple(tensors[name] for name in signature.user_inputs if name in tensors),
        outputs=tuple(tensors[name] for name in signature.user_outputs if name in tensors),
        nodes=tuple(nodes),
        tensors={name: tensor for name, tensor in tensors.items() if name not in constants},
        constants=constants,
        operators=frequencies(operators),
        producer="torch",
        opsets={str(domain): int(version) for domain, version in _opsets(program).items()},
        notes=tuple(_notes(nodes)),
    )


def _notes(nodes: Sequence[Node]) -> Iterator[str]:
    multiplying = [node for node in nodes if _base(node.operator) in _UNCOUNTED | TORCH_WORK.keys()]
    if uncounted := sorted({_base(node.operator) for node in multiplying if node.work is None}):
        yield f"the products of {listed(uncounted)} are not counted"


def _is_weight(tensor: Tensor) -> bool:
    return (tensor.dtype or "").startswith(("float", "bfloat")) and (tensor.elements or 0) > 1


def _opsets(program: Any) -> Mapping[str, Any]:
    verifier = getattr(program, "_opset_version", None)  # of files alone
    return verifier if isinstance(verifier, dict) else {}


def _is_operator(node: Any) -> bool:
    name = getattr(node.target, "__name__", "")
    return node.op == "call_function" and name != "getitem" and not name.startswith("_assert")


def _base(operator: str) -> str:
    return operator.partition(".")[0]


def _constant(name: str, value: Any) -> Constant:
    def read() -> NDArray[Any]:
        tensor = value.detach()
        if str(tensor.dtype) == "torch.bfloat16":
            tensor = tensor.float()
        array: NDArray[Any] = tensor.cpu().numpy()
        return array

    return Constant(Tensor(name, tuple(int(size) for size in value.shape), _dtype(value)), read)


def _dtype(value: Any) -> str:
    return str(value.dtype).removeprefix("torch.")


def _tensor(name: str, value: Any) -> Tensor:
    """Of a value that is no tensor, such as several of them, nothing is known."""
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return Tensor(name, None, None)
    return Tensor(name, tuple(size if isinstance(size, int) else str(size) for size in value.shape), _dtype(value))


def _node(node: Any, tensors: dict[str, Tensor], origin: dict[str, str], learned: set[str]) -> Node:
    operator = str(getattr(node.target, "__name__", node.target))
    inputs = tuple(each.name for each in node.all_input_nodes)
    parts = [user.name for user in node.users if getattr(user.target, "__name__", "") == "getitem"]
    outputs = tuple(parts) if parts and tensors[node.name].shape is None else (node.name,)
    if _base(operator) in _KEEPING and inputs and inputs[0] in origin:
        origin[node.name] = origin[inputs[0]]
        return Node(node.name, operator, inputs, outputs, is_view=True)
    work = _work(_base(operator), node, tensors, origin)
    own = (origin[name] for name in inputs if name in origin)
    parameters = tuple(dict.fromkeys(name for name in own if name in learned))
    attributes = {
        f"argument {at}": _plain(value)
        for at, value in enumerate(node.args)
        if isinstance(value, int | float | str | list | tuple) and _plain(value) is not None
    }
    return Node(node.name, operator, inputs, outputs, attributes, work, parameters, _base(operator) in _VIEWS)


def _plain(value: Any) -> Any:
    """An argument as JSON has it; None of one that names values."""
    if isinstance(value, int | float | str):
        return value
    made = [_plain(each) for each in value] if isinstance(value, list | tuple) else None
    return None if made is None or None in made else made


def _work(base: str, node: Any, tensors: Mapping[str, Tensor], origin: Mapping[str, str]) -> Work | None:
    if base not in TORCH_WORK:
        return None
    places, count = TORCH_WORK[base]
    try:
        arguments = [argument.name if hasattr(argument, "name") else "" for argument in node.args]
        shapes = [_shape(tensors.get(name)) for name in arguments]
        macs = count(shapes, _shape(tensors[node.name]), node.args)
    except LookupError:
        return None
    for place in places:
        weight, size = origin.get(arguments[place]), math.prod(shapes[place])
        if weight is not None and size:
            return Work(macs, {weight: macs // size})
    return Work(macs)


def _shape(tensor: Tensor | None) -> Shape:
    """Raises LookupError where it is open."""
    if tensor is None:
        return ()
    if tensor.elements is None or tensor.shape is None:
        raise LookupError(tensor.name)
    return tuple(int(size) for size in tensor.shape)


Count = Callable[[Sequence[Shape], Shape, Sequence[Any]], int]


def _convolution(shapes: Sequence[Shape], output: Shape, arguments: Sequence[Any]) -> int:
    is_transposed = len(arguments) > 6 and arguments[6] is True
    return math.prod(shapes[0] if is_transposed else output) * math.prod(shapes[1][1:])


def _plain_convolution(shapes: Sequence[Shape], output: Shape, arguments: Sequence[Any]) -> int:
    return math.prod(output) * math.prod(shapes[1][1:])


def _transposed(shapes: Sequence[Shape], output: Shape, arguments: Sequence[Any]) -> int:
    return math.prod(shapes[0]) * math.prod(shapes[1][1:])


def _product(left: int) -> Count:
    return lambda shapes, output, arguments: math.prod(output) * shapes[left][-1]


def _attention(shapes: Sequence[Shape], output: Shape, arguments: Sequence[Any]) -> int:
    return (math.prod(shapes[0]) + math.prod(output)) * shapes[1][-2]


TORCH_WORK: Mapping[str, tuple[tuple[int, ...], Count]] = {
    "convolution": ((1,), _convolution),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), ((1,), _plain_convolution)),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), ((1,), _transposed)),
    "linear": ((1,), _product(0)),
    **dict.fromkeys(("addmm", "baddbmm"), ((2, 1), _product(1))),
    **dict.fromkeys(("mm", "bmm", "matmul"), ((1, 0), _product(0))),
    "scaled_dot_product_attention": ((), _attention),
}
"""Operator without its overload -> which arguments its weight may be, and its multiply-accumulates."""
