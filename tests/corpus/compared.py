"""Runs in a compile worker's child: the outputs of compiled code, and those of the file that it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

__all__ = ["NOT_COMPARED", "compare", "outputs_of", "own_check", "run_artifact", "tensors_of"]

NOT_COMPARED = "not compared"
"""There was nothing to compare with at import."""
_OF_HALVES = 1e-2
"""What code may be off that computes in floats of 16 bits."""


def compare(artifact_dir: str, import_dir: str, original: str, threshold: float) -> dict[str, Any]:
    """{check: what the product's own check says, differs: how the outputs differ from those of the original file,
    unknown: why nothing gives those, or None}.
    """
    from sweep.devices.runtimes.artifact import load_artifact

    artifact = load_artifact(Path(artifact_dir), Path(import_dir))
    outputs = run_artifact(artifact, artifact.inputs)
    check = own_check(artifact, outputs, threshold)
    try:
        wanted = outputs_of(original, artifact.inputs)
    except Exception as error:  # neither runtime takes every file, and each has its own errors
        return {"check": check, "differs": None, "unknown": " ".join(str(error).split())}
    has_halves = any(tensor.data_type == TensorProto.FLOAT16 for tensor in onnx.load(original).graph.initializer)
    allowed = max(threshold, _OF_HALVES) if has_halves else threshold
    return {"check": check, "differs": _difference(outputs, wanted, allowed), "unknown": None}


def own_check(artifact: Any, outputs: list[Any], threshold: float) -> str:
    """What the product's own check says of the outputs for the inputs of the import."""
    from sweep.devices.measuring.output_check import check_outputs
    from sweep.errors import OutputMismatch

    if artifact.expected is None:
        return NOT_COMPARED
    try:
        check_outputs(outputs, artifact.expected, threshold, artifact.facts)
    except OutputMismatch as error:
        return str(error)
    return "agrees"


def run_artifact(artifact: Any, inputs: list[Any]) -> list[Any]:
    """The outputs of compiled code in this process."""
    import tvm
    from tvm import runtime

    machine = runtime.vm.VirtualMachine(runtime.load_module(str(artifact.lib)), tvm.cpu())
    machine.set_input("main", *(runtime.tensor(np.asarray(value)) for value in inputs))
    machine.invoke_stateful("main")
    outputs = machine.get_outputs("main")
    return [each.numpy() for each in (outputs if isinstance(outputs, tuple | list) or _many(outputs) else [outputs])]


def _many(outputs: Any) -> bool:
    return not hasattr(outputs, "numpy")


def outputs_of(original: str, inputs: list[Any]) -> list[Any]:
    import onnxruntime
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(original)
    stored = {tensor.name for tensor in model.graph.initializer}
    taken = [value for value in model.graph.input if value.name not in stored]
    given_arrays, more = list(inputs), len(inputs) - len(taken) + 1
    feeds = {}
    for value in taken:
        if value.type.HasField("sequence_type"):
            feeds[value.name], given_arrays = given_arrays[:more], given_arrays[more:]
        else:
            feeds[value.name] = given_arrays.pop(0)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    integers = ("ConvInteger", "DynamicQuantize", "MatMulInteger", "QAttention", "QGemm", "QLinear")
    if any(node.op_type.startswith(integers) for node in model.graph.node):
        # Products of integers of 8 bits saturate otherwise, where a processor has no instruction for them
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.add_session_config_entry("session.x64quantprecision", "1")
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        session = onnxruntime.InferenceSession(original, options, providers=["CPUExecutionProvider"])
        given = {value.name: value.type for value in session.get_inputs()}
        found = session.run(None, {name: feeds[name] for name in given})
    except Exception:
        found = ReferenceEvaluator(model).run(None, feeds)
    return tensors_of(found)


def tensors_of(outputs: list[Any]) -> list[Any]:
    """A sequence is its tensors; one of probabilities by class is a row for each."""
    found: list[Any] = []
    for one in outputs:
        if isinstance(one, list) and one and all(isinstance(row, dict) for row in one):
            found.append(np.array([[*row.values()] for row in one], np.float32))
        else:
            found += one if isinstance(one, list) else [one]
    return found


def _difference(outputs: list[Any], wanted: list[Any], threshold: float) -> str | None:
    if len(outputs) != len(wanted):
        return f"{len(outputs)} outputs for {len(wanted)}"
    for index, (found, right) in enumerate(zip(outputs, map(np.asarray, wanted), strict=True)):
        if (found.shape, found.dtype) != (right.shape, right.dtype):
            return f"output {index} is {found.dtype} {found.shape} for {right.dtype} {right.shape}"
        if right.dtype.kind == "f":
            close = np.isclose(
                found, right, rtol=threshold, atol=threshold * max(1.0, _greatest(right)), equal_nan=True
            )
        else:
            close = found == right
        if not close.all():
            at = tuple(np.argwhere(~close)[0])
            return f"output {index}: {np.count_nonzero(~close)} of {close.size} differ, as {found[at]} for {right[at]}"
    return None


def _greatest(array: Any) -> float:
    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max()) if finite.size else 0.0
