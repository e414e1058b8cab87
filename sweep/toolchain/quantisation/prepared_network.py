"""A float network as it is calibrated and quantised: batch norms folded into convolutions, every operator named."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from sweep.errors import CalibrateFailed, in_one_line

__all__ = ["QUANTISED_OPERATORS", "named", "prepared", "session_of"]

QUANTISED_OPERATORS = ("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "QGemm", "ConvInteger")
_INITIALISERS_ALONE_SINCE = 4
"""Version of the file format."""
_LEAST_OPSET = 13
"""From which on a scale may belong to a channel."""


def prepared(network: Path) -> Any:
    """The network of a file in the form that is quantised. Raises CalibrateFailed.

    ONNX Runtime's basic optimisations alone: they keep to the operators of ONNX, and fold constants and batch norms.
    """
    import onnx
    from onnx import version_converter

    model = named(onnx.load(str(network)))
    if found := {node.op_type for node in model.graph.node}.intersection(QUANTISED_OPERATORS):
        raise CalibrateFailed(f"the network is quantised already: it has {', '.join(sorted(found))}")
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    if opset < _LEAST_OPSET:
        # Else the converter takes an initialiser that is no input, as files have them today, for one that is missing
        model.ir_version = max(int(model.ir_version), _INITIALISERS_ALONE_SINCE)
        try:
            model = version_converter.convert_version(model, _LEAST_OPSET)
        except Exception as error:
            problem = f"opset {opset} has no scales of channels, and the onnx package cannot raise it"
            raise CalibrateFailed(f"{problem} to {_LEAST_OPSET}: {in_one_line(error)}") from error
    with tempfile.TemporaryDirectory(prefix="prepared-") as scratch:
        folded = Path(scratch) / "folded.onnx"
        session_of(model.SerializeToString(), is_optimised=True, keep=folded)
        return named(onnx.shape_inference.infer_shapes(onnx.load(str(folded))))


def named(model: Any) -> Any:
    """The network with a name of its own for every operator: options speak of them, and ONNX Runtime refuses twins."""
    taken: set[str] = {node.name for node in model.graph.node}
    seen: set[str] = {""}
    for index, node in enumerate(model.graph.node):
        if node.name in seen:
            name = f"{node.name or node.op_type}_{index}"
            while name in taken:
                name += "_"
            node.name = name
            taken.add(name)
        seen.add(node.name)
    return model


def session_of(model: bytes, *, is_optimised: bool = False, keep: Path | None = None) -> Any:
    """ONNX Runtime on one thread, in the order of the network's operators. keep: where the optimised network goes."""
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = levels.ORT_ENABLE_BASIC if is_optimised else levels.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = 4
    if keep is not None:
        options.optimized_model_filepath = str(keep)
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise CalibrateFailed(f"ONNX Runtime cannot run the network: {in_one_line(error)}") from error
