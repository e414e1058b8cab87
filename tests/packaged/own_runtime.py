"""Runs in a compile worker's child: the outputs of compiled code, and those of the file in its own runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.corpus.compared import outputs_of, own_check, run_artifact, tensors_of

__all__ = ["OWN_RUNTIMES", "compare"]

_RUNS, _ROUNDING = 6, 2e-7
"""Some two steps of a float32 of 1."""


def compare(artifact_dir: str, import_dir: str, original: str, threshold: float) -> dict[str, Any]:
    """{check: what the product's own check says, differs: how outputs differ from the file's, difference: how far}.

    The difference is the greatest over the outputs, each as a share of its largest value. Where they differ,
    `own_difference` is that of the file's own runtime from itself, once its inputs are off by their rounding.
    """
    from sweep.devices.runtimes.artifact import load_artifact

    artifact = load_artifact(Path(artifact_dir), Path(import_dir))
    outputs = run_artifact(artifact, artifact.inputs)
    if original.endswith(".tflite"):
        found = _beside_litert(artifact, outputs, original, Path(import_dir), threshold)
        return {"check": own_check(artifact, outputs, threshold), **found}
    runtimes = (outputs_of, _onnxruntime)
    found: dict[str, Any] = {}
    for own_runtime in runtimes:
        wanted = [np.asarray(each) for each in own_runtime(original, artifact.inputs)]
        found = _difference(outputs, wanted, threshold)
        if found["differs"] is None:
            break
    else:
        found["own_difference"] = _own_difference(own_runtime, original, artifact.inputs, wanted)
    return {"check": own_check(artifact, outputs, threshold), **found}


def _beside_litert(
    artifact: Any, outputs: list[Any], original: str, import_dir: Path, threshold: float
) -> dict[str, Any]:
    """Over three calls where the network has state: its last inputs and outputs. LiteRT runs the file of the import
    where it lacks an operator of the original one.
    """
    try:
        interpreter, details = _interpreter(original, artifact.inputs)
    except RuntimeError:
        original = str(import_dir / "model.tflite")
        interpreter, details = _interpreter(original, artifact.inputs)
    states = len(artifact.inputs) - len(details)
    own = list(artifact.inputs[: len(details)])
    greatest = 0.0
    for _ in range(3 if states else 1):
        wanted = _called(interpreter, details, own)
        found = _difference(outputs[: len(wanted)], wanted, threshold)
        greatest = max(greatest, found.get("difference", 0.0))
        if found["differs"] is not None:
            return {**found, "own_difference": _own_difference(_litert, original, own, wanted)}
        if states:
            own = [np.flip(each).copy() for each in own]
            outputs = run_artifact(artifact, [*own, *outputs[len(wanted) :]])
    return {"differs": None, "difference": greatest}


def _own_difference(own_runtime: Any, original: str, inputs: list[Any], wanted: list[Any]) -> float:
    """The greatest of six runs."""
    random, found = np.random.default_rng(0), []
    for _ in range(_RUNS):
        moved = [
            (each * (1 + _ROUNDING * random.standard_normal(each.shape))).astype(each.dtype)
            if each.dtype.kind == "f"
            else each
            for each in map(np.asarray, inputs)
        ]
        outputs = [np.asarray(each) for each in own_runtime(original, moved)]
        found.append(_difference(outputs, wanted, np.inf).get("difference", np.inf))
    return float(max(found))


def _onnxruntime(original: str, inputs: list[Any]) -> list[Any]:
    """As it ships: of quantised networks it sums products in integers, and rounds to another step here and there."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(original, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return tensors_of(session.run(None, dict(zip(names, inputs, strict=True))))


def _litert(original: str, inputs: list[Any]) -> list[Any]:
    return _called(*_interpreter(original, inputs), inputs)


def _interpreter(path: str, inputs: list[Any]) -> tuple[Any, Any]:
    """For these inputs, behind which there may be states that it keeps by itself."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=1)
    details = interpreter.get_input_details()
    for detail, value in zip(details, inputs, strict=False):
        if tuple(detail["shape"]) != value.shape:
            interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()
    return interpreter, details


def _called(interpreter: Any, details: Any, inputs: list[Any]) -> list[Any]:
    for detail, value in zip(details, inputs, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def _difference(outputs: list[Any], wanted: list[Any], threshold: float) -> dict[str, Any]:
    if len(outputs) != len(wanted):
        return {"differs": f"{len(outputs)} outputs for {len(wanted)}"}
    greatest = 0.0
    for index, (found, right) in enumerate(zip(outputs, wanted, strict=True)):
        if (found.shape, found.dtype) != (right.shape, right.dtype):
            return {"differs": f"output {index} is {found.dtype} {found.shape} for {right.dtype} {right.shape}"}
        found, right = np.atleast_1d(found), np.atleast_1d(right)
        with np.errstate(invalid="ignore"):
            apart = np.abs(found.astype("float64") - right.astype("float64"))
        same = (found == right) | ((found != found) & (right != right))
        apart[same] = 0
        scale = max(1.0, float(np.abs(right[np.isfinite(right)]).max(initial=0))) if right.dtype.kind == "f" else 1.0
        limit = threshold if right.dtype.kind == "f" else 1.0  # a step of a quantised output is rounding
        share = float(apart.max(initial=0)) / scale
        greatest = max(greatest, share if np.isfinite(share) else np.inf)
        if not share <= limit:
            return {"differs": f"output {index} differs by {share:.3g} of its largest value", "difference": share}
    return {"differs": None, "difference": greatest}


OWN_RUNTIMES = {".onnx": _onnxruntime, ".tflite": _litert}
"""What runs a file itself, by its suffix: a function of the file and its inputs."""
