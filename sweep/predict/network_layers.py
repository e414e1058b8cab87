"""The convolutions and matrix products of an ONNX network, as geometry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import StudyError
from sweep.predict.layer_geometry import CONVOLUTION, DENSE, LayerGeometry, stack_layers
from sweep.suggestions import hint, listed

__all__ = ["layers_of_onnx"]

Shape = tuple[int, ...]


def layers_of_onnx(path: Path, inputs: Mapping[str, Shape] | None = None) -> LayerGeometry:
    """Reads the layers of a network.

    Args:
        path: an ONNX file; weights in other files are not read.
        inputs: shapes of inputs by name, for open dimensions; others are taken for 1.

    Raises:
        StudyError: not an ONNX file, no layer's shape can be told, or a shape is given to no input.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        _check_inputs(model.graph, inputs or {})
        _close_dimensions(model, inputs or {})
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    except StudyError:
        raise
    except FileNotFoundError as error:
        raise StudyError(f"{path}: does not exist") from error
    except Exception as error:
        raise StudyError(
            f"{path}: cannot be read as ONNX: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from error
    shapes = _shapes(model.graph)
    rows = [row for node in model.graph.node if (row := _row(node, shapes)) is not None]
    if not rows:
        raise StudyError(f"{path}: has no convolution or matrix product whose shape can be told; a predictor needs one")
    return stack_layers(rows)


def _check_inputs(graph: Any, inputs: Mapping[str, Shape]) -> None:
    """A slip in a name would leave dimensions at 1, and predict another network."""
    known = {one.name: one.type.tensor_type for one in graph.input}
    for name, shape in inputs.items():
        if name not in known:
            problem = f"is no input of the network{hint(name, known)}"
            raise StudyError(problem, key="--input", value=name, allowed=listed(known))
        rank = len(known[name].shape.dim)
        if known[name].HasField("shape") and rank != len(shape):
            problem = f"has the wrong number of dimensions: the network's input has {rank}"
            raise StudyError(problem, key="--input", value=f"{name}={','.join(map(str, shape))}")


def _close_dimensions(model: Any, inputs: Mapping[str, Shape]) -> None:
    for declared in model.graph.input:
        given = inputs.get(declared.name)
        for place, dimension in enumerate(declared.type.tensor_type.shape.dim):
            if given is not None and place < len(given):
                dimension.dim_value = given[place]
            elif not dimension.dim_value:
                dimension.dim_value = 1
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")


def _shapes(graph: Any) -> dict[str, Shape]:
    shapes = {one.name: tuple(one.dims) for one in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(dimension.HasField("dim_value") for dimension in dims):
            shapes.setdefault(value.name, tuple(dimension.dim_value for dimension in dims))
    return shapes


def _row(node: Any, shapes: dict[str, Shape]) -> dict[str, Any] | None:
    """Gives a layer's numbers; none of another operator, or where shape inference does not know its tensors."""
    if len(node.input) < 2 or node.op_type not in {"Conv", "Gemm", "MatMul"}:
        return None
    data, weight, out = (shapes.get(name) for name in (node.input[0], node.input[1], node.output[0]))
    if data is None or weight is None or out is None or 0 in (*data, *weight, *out):
        return None
    attributes = {one.name: one for one in node.attribute}
    if node.op_type == "Conv":
        return _convolution(attributes, data, weight, out)
    columns = weight[0] if "transB" in attributes and attributes["transB"].i else weight[-1]
    depth = data[0] if "transA" in attributes and attributes["transA"].i else data[-1]
    rows = 1
    for length in out[1:-1]:
        rows *= length
    return {
        "op": DENSE if rows == 1 else CONVOLUTION,  # a matrix product over positions is a 1x1 convolution over them
        "in_channels": depth, "out_channels": columns, "kernel_h": 1, "kernel_w": 1, "stride": 1, "padding": 0,
        "groups": 1, "in_h": rows, "in_w": 1, "out_h": rows, "out_w": 1,
    }  # fmt: skip


def _convolution(attributes: dict[str, Any], data: Shape, weight: Shape, out: Shape) -> dict[str, Any] | None:
    if len(data) not in {3, 4}:
        return None
    (in_h, in_w), (out_h, out_w), (kernel_h, kernel_w) = ((*shape[2:], 1)[:2] for shape in (data, out, weight))
    strides = list(attributes["strides"].ints) if "strides" in attributes else [1]
    pads = list(attributes["pads"].ints) if "pads" in attributes else [0]
    return {
        "op": CONVOLUTION,
        "in_channels": data[1], "out_channels": weight[0], "kernel_h": kernel_h, "kernel_w": kernel_w,
        "stride": strides[0], "padding": pads[0], "groups": data[1] // weight[1],
        "in_h": in_h, "in_w": in_w, "out_h": out_h, "out_w": out_w,
    }  # fmt: skip
