"""The value of a node whose inputs are all constant."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["evaluated"]

_Array = npt.NDArray[Any]

_RANDOM = ("Random", "Multinomial", "Bernoulli")


def evaluated(
    node: Any, inputs: Mapping[str, _Array | None], opsets: Sequence[Any], types: Mapping[str, Any]
) -> dict[str, _Array] | None:
    """By the output's name; None where it cannot be evaluated, or gives another value each time.

    types: of the outputs, where they are known: the value of an evaluator that gives others is not taken.
    """
    import onnx
    from onnx import helper

    if node.op_type.startswith(_RANDOM) or any(attribute.HasField("g") for attribute in node.attribute):
        return None
    names = [name for name in node.output if name]
    typed = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in inputs.items()
        if array is not None
    ]
    outputs = [
        helper.make_value_info(name, types[name]) if name in types else onnx.ValueInfoProto(name=name) for name in names
    ]
    graph = helper.make_graph([node], "constant", typed, outputs)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    for run in (_by_reference, _by_onnxruntime):
        results = _tried(run, model, inputs)
        if results is not None and all(map(_fits, results, (types.get(name) for name in names))):
            return dict(zip(names, results, strict=True))
    return None


def _tried(
    run: Callable[[Any, Mapping[str, Any]], Sequence[Any]], model: Any, inputs: Mapping[str, Any]
) -> list[_Array] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = run(model, inputs)
    except Exception:  # noqa: BLE001  (left in the graph: the importer may know it)
        return None
    if any(result is None or isinstance(result, list) for result in results):
        return None
    arrays = [np.asarray(result) for result in results]
    return None if any(array.dtype == object for array in arrays) else arrays


def _by_reference(model: Any, inputs: Mapping[str, Any]) -> Sequence[Any]:
    from onnx.reference import ReferenceEvaluator

    results: Sequence[Any] = ReferenceEvaluator(model).run(None, dict(inputs))
    return results


def _by_onnxruntime(model: Any, inputs: Mapping[str, Any]) -> Sequence[Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    results: Sequence[Any] = session.run(None, dict(inputs))
    return results


def _fits(array: _Array, known: Any) -> bool:
    """Whether a value is of the type that was inferred."""
    from onnx import helper

    if known is None or not known.HasField("tensor_type"):
        return True
    tensor = known.tensor_type
    if tensor.elem_type and np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)) != array.dtype:
        return False
    if not tensor.HasField("shape"):
        return True
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    return len(sizes) == array.ndim and all(
        wanted in (None, size) for wanted, size in zip(sizes, array.shape, strict=True)
    )
