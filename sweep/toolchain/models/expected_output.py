"""The inputs a model is compared on, and ONNX Runtime's answer to them: what compiled code must reproduce."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.toolchain.models.input_values import Values
from sweep.toolchain.models.loader import TensorType

__all__ = ["make_inputs", "run_onnxruntime", "run_reference_evaluator"]

_Array = npt.NDArray[Any]


def make_inputs(inputs: Iterable[TensorType], seed: int) -> dict[str, _Array]:
    """What each input may hold, in the order of the inputs, from the seed alone. Raises ImportFailed."""
    generator = np.random.default_rng(seed)
    feeds: dict[str, _Array] = {}
    for tensor in inputs:
        dtype, shape = np.dtype(tensor.dtype), tuple(size for size in tensor.shape if size is not None)
        feeds[tensor.name] = (tensor.values or Values()).draw(tensor.name, dtype, shape, generator)
    return feeds


def run_onnxruntime(
    model: Path | bytes, inputs: Mapping[str, _Array], *, multiplies_integers: bool = False
) -> list[_Array]:
    """The outputs on one thread, with the basic graph optimisations only, which keep the order of additions.

    model: a file, or its content. multiplies_integers: whether it multiplies integers of 8 bits. Where a processor
    has no instruction for these, ONNX Runtime adds pairs of products in 16 bits, which saturate (2 x 255 x 127 is
    64,770): 0.36 of 3.2 on a layer of five inputs. It has a way around, among its extended optimisations.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_BASIC
    if multiplies_integers:
        options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
        options.add_session_config_entry("session.x64quantprecision", "1")
    # Else even that level computes between a quantisation and the next in integers: 1.08 apart on a small network
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.log_severity_level = 4
    stored = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(stored, options, providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, dict(inputs))]


def run_reference_evaluator(model: Any, inputs: Mapping[str, _Array]) -> list[_Array]:
    """The outputs by the onnx package's own evaluator, which knows versions that ONNX Runtime does not."""
    from onnx.reference import ReferenceEvaluator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [np.asarray(output) for output in ReferenceEvaluator(model).run(None, dict(inputs))]
