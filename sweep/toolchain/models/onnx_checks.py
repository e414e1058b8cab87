"""Reads ONNX files, and says in a line what keeps one from being compiled."""

from __future__ import annotations

import importlib
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from sweep.errors import ImportFailed, in_one_line
from sweep.toolchain.host_memory import left_to_this_process
from sweep.toolchain.models.onnx_converters import OWN
from sweep.toolchain.models.onnx_sequences import give_columns, give_elements, take_elements
from sweep.toolchain.models.onnx_sizes import check_tensors
from sweep.toolchain.models.onnx_sparse import make_dense

__all__ = ["check_operators", "check_shapes", "check_types", "read_onnx", "settle_outputs"]

_LOWEST_IR_VERSION = 8
"""Before version 4 of the format every initialiser is an input too, and runtimes must not fold it."""
_ONNX = ("", "ai.onnx")
_BY_DATA = frozenset(
    "NonZero Compress Unique NonMaxSuppression AllClassNMS TopK Reshape Expand Range ConstantOfShape Resize Tile Pad "
    "Slice Split OneHot AffineGrid".split()
)
"""Operators whose output has a shape that a value of an input decides."""
_EXCHANGED = "float float16 double int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool".split()
"""Types of inputs and outputs, as ONNX names them, that files of arrays hold."""
_RUNTIMES_OWN = ("GroupNormalization", "LayerNormalization", "SimplifiedLayerNormalization")
"""Operators that ONNX Runtime has among those of ONNX itself, whatever the opset, and writes so into files; or that
ONNX has withdrawn since.
"""
_UNCHECKED = "ai.onnxruntime"
"""A domain of which the onnx package has no operators."""
_NO_SHAPE = "Field 'shape'"
"""What the onnx package says of a value without a rank, which runtimes take."""
_OF_INPUTS = " where inputs of the network decide its shapes, axes or parameters"


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
    _unify(model)
    _set_format(model)
    try:
        _check(model)
    except Exception as error:
        raise ImportFailed(f"{path}: the network is invalid: {in_one_line(error)}") from error
    check_tensors(model)
    make_dense(model, left_to_this_process())
    take_elements(model)
    give_elements(model)
    give_columns(model)
    newest = int(onnx.defs.onnx_opset_version())
    if (opset := max((int(o.version) for o in model.opset_import if o.domain in _ONNX), default=1)) > newest:
        raise ImportFailed(f"{path}: the network is of opset {opset}; the onnx package here knows those up to {newest}")
    return model


def _unify(model: Any) -> None:
    """In one form what has several. ONNX's own operators have no domain: some exporters write its name. Outputs at the
    end that nobody wants are none: code for a batch norm with four of them, of opset 9, ended the process.
    """
    for opset in model.opset_import:
        if opset.domain in _ONNX:
            opset.domain = ""
    for node in (*_nodes(model.graph), *(node for function in model.functions for node in function.node)):
        if node.domain in _ONNX:
            node.domain = ""
        while len(node.output) > 1 and not node.output[-1]:
            del node.output[-1]


def _nodes(graph: Any) -> Iterator[Any]:
    """Those of subgraphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _check(model: Any) -> None:
    """By the onnx package, but for what runtimes have beside it."""
    from onnx import defs

    opset = max((int(one.version) for one in model.opset_import if one.domain in _ONNX), default=1)
    foreign = [
        node
        for node in _nodes(model.graph)
        if node.op_type in _RUNTIMES_OWN and not node.domain and not _is_known(defs, node.op_type, opset)
    ]
    imports = len(model.opset_import)
    if foreign:
        model.opset_import.add(domain=_UNCHECKED, version=1)
    for node in foreign:
        node.domain = _UNCHECKED
    try:
        _check_ranks(model)
    finally:
        for node in foreign:
            node.domain = ""
        del model.opset_import[imports:]


def _is_known(defs: Any, operator: str, opset: int) -> bool:
    try:
        return not defs.get_schema(operator, opset, "").deprecated
    except defs.SchemaError:
        return False


def _check_ranks(model: Any) -> None:
    """By the onnx package, which takes no value without a rank, as runtimes do, and says nothing of what follows."""
    import onnx

    values = (*model.graph.output, *model.graph.value_info)
    kinds = [value.type.tensor_type for value in values if value.type.HasField("tensor_type")]
    without = [kind for kind in kinds if kind.elem_type and not kind.HasField("shape")]
    for kind in without:
        kind.shape.SetInParent()
    try:
        onnx.checker.check_model(model)
    except Exception as error:
        if _NO_SHAPE not in str(error):
            raise
    finally:
        for kind in without:
            kind.ClearField("shape")


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


def check_operators(model: Any, rewritable: Container[str] = ()) -> None:
    """Name each operator that the importer lacks, with a node of it, before anything else is tried.

    rewritable: those that rules replace where what decides their shapes is constant. Raises ImportFailed.
    """
    frontend = importlib.import_module("tvm.relax.frontend.onnx.onnx_frontend")
    known = {*frontend._get_convert_map(), *OWN, "Constant", "If"}
    missing: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type not in known or node.domain not in (*_ONNX, "com.microsoft"):
            missing.setdefault(f"{node.domain}.{node.op_type}".lstrip("."), node.name or ", ".join(node.output))
    if missing:
        listed = "; ".join(
            f"{operator} (node {node}){_OF_INPUTS if operator in rewritable else ''}"
            for operator, node in sorted(missing.items())
        )
        raise ImportFailed(f"TVM's ONNX importer does not support: {listed}")


def check_types(model: Any) -> None:
    """Refuse inputs and outputs that are no tensors or of a type that numpy lacks, and inputs of no shape.

    Raises ImportFailed.
    """
    from onnx import TensorProto

    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            kind = (value.type.WhichOneof("value") or "unknown").removesuffix("_type")
            raise ImportFailed(f"{value.name} is of the kind {kind}: a compiled network takes and gives tensors alone")
        element = value.type.tensor_type.elem_type
        if element and (name := TensorProto.DataType.Name(element).lower()) not in _EXCHANGED:
            raise ImportFailed(f"{value.name} is of type {name}: a network takes and gives {', '.join(_EXCHANGED)}")
    for value in model.graph.input:
        if not value.type.tensor_type.HasField("shape"):
            wanted = f"inputs: {{{value.name}: [...]}}"
            raise ImportFailed(f"input {value.name!r} has no shape; give it in the study: {wanted}")


def check_shapes(model: Any) -> None:
    """Name the first operator whose output's shape is told by data alone, of a network whose shapes were inferred.

    Raises ImportFailed.
    """
    known = {value.name: value for value in (*model.graph.value_info, *model.graph.input, *model.graph.output)}
    for node in model.graph.node:
        if node.op_type in _BY_DATA and not all(_is_whole(known.get(name)) for name in node.output if name):
            raise ImportFailed(f"the shape of what {_label(node)} gives depends on data: it cannot be compiled")


def settle_outputs(module: Any, model: Any) -> None:
    """Give the outputs of the network the shapes that those of TVM's module have: the onnx package tells not all.

    Raises ImportFailed, with the first operator without a fixed shape, where one has none.
    """
    tvm = importlib.import_module("tvm")
    given = module["main"].ret_ty
    outputs = given.fields if isinstance(given, tvm.relax.TupleType) else [given]
    for value, output in zip(model.graph.output, outputs, strict=True):
        shape = getattr(output, "shape", None)
        sizes = [] if shape is None else list(getattr(shape, "values", shape))
        if shape is not None and all(isinstance(size, tvm.tirx.IntImm) and size.value >= 0 for size in sizes):
            stored = value.type.tensor_type.shape
            stored.Clear()
            stored.SetInParent()
            for size in sizes:
                stored.dim.add().dim_value = int(size)
            continue
        known = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
        open_ones = (n for n in model.graph.node if not all(_is_whole(known.get(name)) for name in n.output if name))
        node = next(open_ones, None)
        if node is not None:
            raise ImportFailed(f"the shape of what {_label(node)} gives is not fixed: it cannot be compiled")
        shown = f"is {[str(size) for size in sizes]}" if sizes else "is not fixed"
        raise ImportFailed(f"the shape of output {value.name} {shown}: it cannot be compiled")


def _label(node: Any) -> str:
    return f"{node.op_type} (node {node.name or ', '.join(filter(None, node.output))})"


def _is_whole(value: Any) -> bool:
    """Whether every dimension of a tensor is a number."""
    if value is None or not value.type.tensor_type.HasField("shape"):
        return False
    return all(dim.HasField("dim_value") for dim in value.type.tensor_type.shape.dim)
