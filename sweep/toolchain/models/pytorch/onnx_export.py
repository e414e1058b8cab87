"""A PyTorch network in ONNX, as torch's own exporter writes it, for the runtimes that open that."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
from collections.abc import Sequence
from typing import Any

from sweep.toolchain.models.pytorch.torch_module import quietly

__all__ = ["to_onnx"]

_NEWEST_IR = 10
"""Version of the file's form, which ONNX Runtime and OpenVINO of the last two years read."""


def to_onnx(program: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """The network as a ModelProto, or None where onnxscript is not installed, or the exporter lacks an operator: then
    other runtimes have a row that says so.
    """
    if importlib.util.find_spec("onnxscript") is None:
        return None
    import torch

    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with quietly(), contextlib.redirect_stdout(io.StringIO()):
            exported = torch.onnx.export(
                program, dynamo=True, input_names=list(inputs), output_names=list(outputs), verbose=False
            )
        proto = exported.model_proto
    except Exception:  # noqa: BLE001  (of many classes; what TVM and torch run is worth measuring)
        return None
    finally:
        logging.disable(level)
    proto.ir_version = min(proto.ir_version, _NEWEST_IR)
    return proto
