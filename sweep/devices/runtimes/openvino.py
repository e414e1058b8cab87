"""OpenVINO on the imported network, twice: held to float32, and in the number type that it takes by itself.

On a CPU with AMX or AVX-512 BF16 its own choice is bfloat16, with which ResNet-50 took 9.8 ms where float32 took 56: a
table must name what it compares.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sweep.study.runtimes import CHOSEN_LATER, Runtime, Session, SessionRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OPENVINO", "OPENVINO_DEFAULT"]

_FORMATS = ("onnx", "tflite")
_BFLOAT16_TOLERANCE = 5e-2
"""bfloat16 keeps 8 bits of a number, 3 fewer than float16, whose tolerance is 1e-2. SqueezeNet was off by 4e-3."""


def _library() -> Any:
    # Else the import alone writes an id of this user below the home folder, and sends it with the version. Without the
    # package OpenVINO does the same work and tells nobody.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    return importlib.import_module("openvino")


def _warm_up() -> None:
    _library()


class _OpenVinoSession(Session):
    """One stream of inferences on the device's own threads."""

    def __init__(self, request: SessionRequest, precision: str | None) -> None:
        openvino = _library()
        core = openvino.Core()
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": request.threads,
            "ENABLE_CPU_PINNING": False,
        }
        if precision is not None:
            settings["INFERENCE_PRECISION_HINT"] = precision
        network = core.read_model(str(request.network(*_FORMATS)))
        self._compiled = core.compile_model(network, "CPU", settings)
        self._request = self._compiled.create_infer_request()
        self.version = str(openvino.__version__).partition("-")[0]  # the rest is of its build

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        outputs = self._request.infer(self._in_order(inputs), share_inputs=True, share_outputs=True)
        return [outputs[index] for index in range(len(self._compiled.outputs))]

    def conditions(self) -> Mapping[str, Any]:
        chosen = self._compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        return {
            "runtime_threads": int(self._compiled.get_property("INFERENCE_NUM_THREADS")),
            "computed_in": _NUMBER_TYPES.get(chosen, chosen),
        }

    def close(self) -> None:
        del self._request

    def _in_order(self, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The inputs that it takes: by their names, or in the file's order where it gave them other names."""
        names = [port.names for port in self._compiled.inputs]
        by_name = [next((inputs[name] for name in own if name in inputs), None) for own in names]
        found = [value for value in by_name if value is not None]
        if len(found) == len(names):
            return found
        if len(names) != len(inputs):
            own = [", ".join(sorted(each)) for each in names]
            raise ValueError(f"it takes the inputs {own}, the network has {list(inputs)}")
        return list(inputs.values())


_NUMBER_TYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}
"""Of OpenVINO, by numpy's names."""

OPENVINO = Runtime(
    name="openvino",
    title="OpenVINO",
    short="OV",
    distributions=("openvino",),
    warm_up=_warm_up,
    open=partial(_OpenVinoSession, precision="f32"),
    formats=_FORMATS,
    extra="openvino",
)

OPENVINO_DEFAULT = Runtime(
    name="openvino-default",
    title="OpenVINO default",
    short="OV default",
    distributions=("openvino",),
    warm_up=_warm_up,
    open=partial(_OpenVinoSession, precision=None),
    formats=_FORMATS,
    extra="openvino",
    precision=CHOSEN_LATER,
    tolerance=_BFLOAT16_TOLERANCE,
)
