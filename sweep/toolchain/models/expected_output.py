"""The inputs a model is compared on, and ONNX Runtime's answer to them: what compiled code must reproduce."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.toolchain.models.loader import TensorType

__all__ = ["make_inputs", "run_onnxruntime"]

_Array = npt.NDArray[Any]

_INTEGERS_BELOW = 8
"""Integer inputs are indices more often than not: small ones stay inside most tables."""


def make_inputs(inputs: Iterable[TensorType], seed: int) -> dict[str, _Array]:
    """Standard normal for floats, 0 to 7 for integers, in the order of the inputs, from the seed alone."""
    generator = np.random.default_rng(seed)
    feeds: dict[str, _Array] = {}
    for tensor in inputs:
        dtype, shape = np.dtype(tensor.dtype), tuple(size for size in tensor.shape if size is not None)
        if np.issubdtype(dtype, np.floating):
            feeds[tensor.name] = generator.standard_normal(shape).astype(dtype)
        elif dtype == np.bool_:
            feeds[tensor.name] = generator.integers(0, 2, shape).astype(dtype)
        else:
            feeds[tensor.name] = generator.integers(0, _INTEGERS_BELOW, shape).astype(dtype)
    return feeds


def run_onnxruntime(model_path: Path, inputs: Mapping[str, _Array]) -> list[_Array]:
    """The outputs on one thread, with the basic graph optimisations only, which keep the order of additions."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model_path), options, providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, dict(inputs))]
