"""ONNX Runtime on the imported network: the baseline of most studies."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweep.study.runtimes import Runtime, Session, SessionRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ONNX_RUNTIME"]


class _OnnxRuntimeSession(Session):
    """At its best: all graph optimisations, and threads that spin between operators where each has its core."""

    def __init__(self, request: SessionRequest) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = request.threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 3
        may_spin = request.threads <= len(request.cores)
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if may_spin else "0")
        model = request.network("onnx")
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self.version = str(onnxruntime.__version__)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        outputs: Sequence[NDArray[Any]] = self._session.run(None, inputs)
        return outputs

    def conditions(self) -> Mapping[str, Any]:
        return {"runtime_threads": self._session.get_session_options().intra_op_num_threads}


def _warm_up() -> None:
    importlib.import_module("onnxruntime")


ONNX_RUNTIME = Runtime(
    name="onnxruntime",
    title="ONNX Runtime",
    short="ORT",
    distributions=("onnxruntime",),
    warm_up=_warm_up,
    open=_OnnxRuntimeSession,
    formats=("onnx",),
    runs_quantised=True,
    is_loaded_once=True,
    # Else, from 1.29 on, it calls home and leaves a file in the temporary folder
    environment={"ORT_DISABLE_TELEMETRY": "1"},
)
