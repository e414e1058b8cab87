"""Compiles and runs quantised networks in this process."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
HOST = {"kind": "llvm", "native": "here", "num-cores": 1}


def lowered(module: Any, level: int, target: dict[str, Any] | None = None, **options: Any) -> Any:
    """A Relax module, lowered; no pass is left out."""
    from sweep.toolchain.lowering import lower
    from sweep.toolchain.tvm_loader import resolve_target

    found = lower(module, {"opt_level": level, **options}, resolve_target(target or HOST))
    assert (found.level, found.left_out) == (level, ())
    return found.module


def answers(module: Any, inputs: list[Array], level: int) -> list[Array]:
    """What a lowered module gives for each input."""
    import tvm

    from sweep.toolchain.lowering import finish
    from sweep.toolchain.tvm_loader import resolve_target
    from tests.toolchain.quick_builds import machine_of, quick

    target = resolve_target(quick(HOST))
    machine = machine_of(finish(module, level, target)[0], target)
    return [machine["main"](tvm.runtime.tensor(one)).numpy() for one in inputs]


def relax_of(model: Any) -> Any:
    """An ONNX network as it is imported."""
    from sweep.toolchain.tvm_loader import load_tvm

    load_tvm()
    from tvm.relax.frontend.onnx import from_onnx

    return from_onnx(model, keep_params_in_input=False)


def onnxruntime_answers(model: Any, inputs: list[Array]) -> list[Array]:
    """ONNX Runtime's, by the arithmetic that the file describes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(session.run(None, {"x": one})[0]) for one in inputs]
