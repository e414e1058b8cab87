"""Fixed input shapes: a person's `inputs:` and `batch`, applied to a network whose own may be symbolic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sweep.analysis.formatting import plural
from sweep.errors import ImportFailed, in_one_line

__all__ = [
    "copied",
    "declared_empty",
    "fix_shapes",
    "infer_shapes",
    "known_shapes",
    "misfit",
    "real_inputs",
    "shape_of",
]


def fix_shapes(
    model: Any,
    inputs: Mapping[str, Sequence[int]],
    batch: int | None,
    batch_dims: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Give every input of the network its fixed shape, in place.

    inputs: shapes by input name, over the network's own. batch: the first dimension of every input, or those that
    batch_dims names; None leaves them, but for a first one that is open, which becomes 1.
    Raises ImportFailed for an unknown name, a wrong rank, a dimension that still has no value, a batch the network
    cannot take.
    """
    known = {value.name: value for value in real_inputs(model)}
    for name, shape in inputs.items():
        if name not in known:
            raise ImportFailed(
                f"no input is called {name!r}; the network's inputs: {', '.join(map(_shown, known.values()))}"
            )
        _set_shape(known[name], shape)
    if batch is not None:
        _set_batch(model, batch, known, dict.fromkeys(known, (0,)) if batch_dims is None else batch_dims)
    else:
        for value in known.values():
            if value.name not in inputs and (_sizes(value) or [1])[0] in (None, 0):
                value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in known.values():
        for index, size in enumerate(_sizes(value)):
            if size is None or (size <= 0 and value.name not in inputs):
                symbol = value.type.tensor_type.shape.dim[index].dim_param or "?"
                raise ImportFailed(
                    f"input {value.name!r} has no value for dimension {index} ({symbol}); give the shape in the study: "
                    f"inputs: {{{value.name}: [...]}} (now {_shown(value)})"
                )
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]


def _set_batch(model: Any, batch: int, known: Mapping[str, Any], dims: Mapping[str, Sequence[int]]) -> None:
    old_batches: set[int | None] = set()
    for name, indices in dims.items():
        if name not in known:
            raise ImportFailed(f"batch {batch}: no input is called {name!r}; there are {', '.join(known)}")
        value = known[name]
        for index in indices:
            if index >= len(_sizes(value)):
                raise ImportFailed(f"batch {batch}: input {_shown(value)} has no dimension to put it in")
            old_batches.add(_sizes(value)[index])
            value.type.tensor_type.shape.dim[index].dim_value = batch
    if old_batches - {batch, None, 0} and all(tuple(at) == (0,) for at in dims.values()):
        _rewrite_reshapes(model, {size for size in old_batches if isinstance(size, int) and size > 0}, batch)


def misfit(batch: int | None, has_inputs: bool) -> str | None:
    """What to say first when a network fails under shapes that are not its own; None when they are."""
    if batch is not None:
        return f"batch {batch} does not fit this network, whose shapes are fixed inside"
    return "the shapes given by inputs: contradict the network" if has_inputs else None


def infer_shapes(model: Any, misfit_text: str | None) -> Any:
    """The network with every shape inferred. Raises ImportFailed where the fixed input shapes contradict it."""
    import onnx

    try:
        return onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    except Exception as error:
        first = in_one_line(error)
        raise ImportFailed(f"{misfit_text or 'the shapes of the network contradict each other'}: {first}") from error


def real_inputs(model: Any) -> list[Any]:
    """The inputs a caller feeds: old files list their weights among them."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def declared_empty(model: Any, given: Mapping[str, Sequence[int]]) -> dict[str, list[int]]:
    """Shapes of the inputs that a file declares with a size of 0, but for those that a person gives."""
    shapes = {value.name: _sizes(value) for value in real_inputs(model) if value.name not in given}
    return {name: [size or 0 for size in sizes] for name, sizes in shapes.items() if 0 in sizes and None not in sizes}


def copied(model: Any) -> Any:
    """A network of its own."""
    copy = type(model)()
    copy.CopyFrom(model)
    return copy


def shape_of(value: Any) -> list[int | None]:
    """The sizes of a typed value; None for a symbolic one."""
    return _sizes(value)


def known_shapes(model: Any) -> dict[str, list[int | None]]:
    """By name, of inputs, stored tensors and what was inferred."""
    typed = {value.name: shape_of(value) for value in (*model.graph.value_info, *model.graph.input)}
    return typed | {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}


def _sizes(value: Any) -> list[int | None]:
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim]


def _shown(value: Any) -> str:
    sizes = [
        str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in value.type.tensor_type.shape.dim
    ]
    return f"{value.name} [{', '.join(sizes)}]"


def _set_shape(value: Any, shape: Sequence[int]) -> None:
    tensor = value.type.tensor_type
    if tensor.HasField("shape") and len(tensor.shape.dim) != len(shape):
        raise ImportFailed(
            f"input {_shown(value)} has {plural(len(tensor.shape.dim), 'dimension')}, and inputs: gives {list(shape)}"
        )
    del tensor.shape.dim[:]
    for size in shape:
        tensor.shape.dim.add().dim_value = int(size)


def _rewrite_reshapes(model: Any, old_batches: set[int], batch: int) -> None:
    """Let a constant reshape of an activation follow the batch: exported networks hold the batch they were traced
    with.
    """
    from onnx import numpy_helper

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for number, node in enumerate(model.graph.node):
        if node.op_type != "Reshape" or node.input[0] in constants or node.input[1] not in constants:
            continue
        shape = numpy_helper.to_array(constants[node.input[1]]).astype(np.int64).copy()
        if shape.size and int(shape[0]) in old_batches:
            shape[0] = batch
            tensor = numpy_helper.from_array(shape, f"{node.input[1]}__batch{batch}_{number}")
            model.graph.initializer.append(tensor)
            node.input[1] = tensor.name
