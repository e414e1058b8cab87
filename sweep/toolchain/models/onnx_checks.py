"""Reads ONNX files, and says in a line what keeps one from being compiled."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sweep.errors import ImportFailed, in_one_line

__all__ = ["check_operators", "check_shapes", "read_onnx"]

_LOWEST_IR_VERSION = 8
"""Before version 4 of the format every initialiser is an input too, and runtimes must not fold it."""
_ONNX = ("", "ai.onnx")
_NO_SHAPE = "Field 'shape'"
"""What the onnx package says of a value without a rank, which runtimes take."""


def read_onnx(path: Path) -> Any:
    """The network of a file, checked. Raises ImportFailed."""
    import onnx

    if not path.is_file():
        raise ImportFailed(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise ImportFailed(f"{path}: the file is empty")
    try:
        model = onnx.load(str(path))
    except Exception as error:
        raise ImportFailed(f"{path}: not an ONNX file, or a damaged one: {in_one_line(error)}") from error
    if not model.graph.node:
        raise ImportFailed(f"{path}: not an ONNX file, or a damaged one: it holds no graph")
    _set_format(model)
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        if _NO_SHAPE not in str(error):
            raise ImportFailed(f"{path}: the network is invalid: {in_one_line(error)}") from error
    return model


def _set_format(model: Any) -> None:
    """The lowest version of the format that has its operators, in place: the onnx package writes a later one than ONNX
    Runtime reads.
    """
    from onnx import helper

    try:
        needed = helper.find_min_ir_version_for(list(model.opset_import))
    except Exception:  # noqa: BLE001  (of operators that this onnx does not know)
        needed = int(model.ir_version)
    model.ir_version = max(_LOWEST_IR_VERSION, min(int(model.ir_version), needed))


def check_operators(model: Any) -> None:
    """Name each operator that the importer lacks, with a node of it, before anything else is tried."""
    frontend = importlib.import_module("tvm.relax.frontend.onnx.onnx_frontend")
    known = {*frontend._get_convert_map(), "Constant", "If"}
    missing: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type not in known or node.domain not in (*_ONNX, "com.microsoft"):
            missing.setdefault(f"{node.domain}.{node.op_type}".lstrip("."), node.name or ", ".join(node.output))
    if missing:
        listed = "; ".join(f"{operator} (node {node})" for operator, node in sorted(missing.items()))
        raise ImportFailed(f"TVM's ONNX importer does not support: {listed}")


def check_shapes(model: Any) -> None:
    """Name the operator whose output has no fixed shape, of a network whose shapes were all inferred; and what is no
    tensor. Raises ImportFailed.
    """
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            kind = (value.type.WhichOneof("value") or "no type").removesuffix("_type")
            raise ImportFailed(f"{value.name} is of the kind {kind}: a compiled network takes and gives tensors alone")
    known = {value.name: value for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)}
    for node in model.graph.node:
        for name in node.output:
            shape = _shape_of(known.get(name))
            if name in known and (shape is None or None in shape) and node.domain in _ONNX:
                where = f"{node.op_type} (node {node.name or ', '.join(filter(None, node.output))})"
                raise ImportFailed(f"the shape of what {where} gives depends on data: it cannot be compiled")


def _shape_of(value: Any) -> list[int | None] | None:
    if value is None or not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
