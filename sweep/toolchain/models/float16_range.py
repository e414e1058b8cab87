"""Whether the values of a network fit into float16: where they do not, they become infinite, and outputs nonsense."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sweep.files.npz import load_arrays
from sweep.files.sweep_dir import network_file
from sweep.toolchain.models.expected_output import run_onnxruntime

__all__ = ["FLOAT16_MOST", "beyond_float16"]

FLOAT16_MOST = float(np.finfo(np.float16).max)
_PEAK = "sweep_peak_of_"


def beyond_float16(import_dir: Path) -> dict[str, Any] | None:
    """The first layer of an imported network whose values exceed float16's range on the inputs that its outputs are
    compared on, computed in float32 by ONNX Runtime: `layer`, `operator`, and `value`, the largest of its magnitudes.

    None where all fit, and where nobody can tell: the import has no ONNX form, or ONNX Runtime does not run it.
    """
    path, inputs = import_dir / network_file("onnx"), import_dir / "inputs.npz"
    if not (path.is_file() and inputs.is_file()):
        return None
    try:
        peaks = _peaks(path, load_arrays(inputs))
    except Exception:  # noqa: BLE001 - a network that ONNX Runtime refuses lacks this note, and nothing else
        return None
    return next((peak for peak in peaks if peak["value"] > FLOAT16_MOST), None)


def _peaks(path: Path, inputs: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each operator with an output in float32, in their order."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
    graph = model.graph
    known = (*graph.value_info, *graph.output)
    floats = {one.name for one in known if one.type.tensor_type.elem_type == TensorProto.FLOAT}
    found = [
        (node.name or node.output[0], node.op_type, name)
        for node in graph.node
        for name in node.output
        if name in floats and node.op_type != "Constant"
    ]
    del graph.output[:]
    for _, _, name in found:
        peak = f"{_PEAK}{name}"
        graph.node.append(helper.make_node("Abs", [name], [f"{peak}_abs"]))
        graph.node.append(helper.make_node("ReduceMax", [f"{peak}_abs"], [peak], keepdims=0))
        graph.output.append(helper.make_tensor_value_info(peak, TensorProto.FLOAT, []))
    values = run_onnxruntime(model.SerializeToString(), inputs) if found else []
    return [
        {"layer": layer, "operator": operator, "value": float(value)}
        for (layer, operator, _), value in zip(found, values, strict=True)
    ]
