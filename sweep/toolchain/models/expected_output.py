"""The inputs a model is compared on, and ONNX Runtime's answer to them: what compiled code must reproduce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["make_inputs", "run_onnxruntime", "save_arrays"]

_Array = npt.NDArray[Any]

_INTEGERS_BELOW = 8
"""Integer inputs are indices more often than not: small ones stay inside most tables."""


def make_inputs(shapes: Mapping[str, tuple[Sequence[int], str]], seed: int) -> dict[str, _Array]:
    """Standard normal for floats, 0 to 7 for integers, in the order of the inputs, from the seed alone."""
    generator = np.random.default_rng(seed)
    made: dict[str, _Array] = {}
    for name, (shape, dtype) in shapes.items():
        kind = np.dtype(dtype)
        if np.issubdtype(kind, np.floating):
            made[name] = generator.standard_normal(tuple(shape)).astype(kind)
        elif kind == np.bool_:
            made[name] = generator.integers(0, 2, tuple(shape)).astype(kind)
        else:
            made[name] = generator.integers(0, _INTEGERS_BELOW, tuple(shape)).astype(kind)
    return made


def run_onnxruntime(model_path: Path, inputs: Mapping[str, _Array]) -> list[_Array]:
    """The outputs on one thread, with the basic graph optimisations only, which keep the order of additions."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model_path), options, providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, dict(inputs))]


def save_arrays(path: Path, arrays: Mapping[str, _Array]) -> None:
    """An .npz whose keys are the names as they are (they may hold slashes)."""
    np.savez(path, **dict(arrays))  # type: ignore[arg-type]
