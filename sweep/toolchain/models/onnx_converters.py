"""Converters of our own beside those of TVM's ONNX importer, for what no other operators of ONNX can say."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["OWN", "with_own_converters"]

OWN = ("BitCast",)
"""Operators that they are for."""


@contextmanager
def with_own_converters() -> Iterator[Any]:
    """TVM's importer, which has them meanwhile."""
    frontend: Any = importlib.import_module("tvm.relax.frontend.onnx.onnx_frontend")
    tables = frontend._get_convert_map
    frontend._get_convert_map = lambda: {**tables(), **_converters(frontend)}
    try:
        yield frontend
    finally:
        frontend._get_convert_map = tables


def _converters(frontend: Any) -> dict[str, Any]:
    class BitCast(frontend.OnnxOpConverter):
        """The same bits as another type."""

        @classmethod
        def _impl_v26(cls, builder: Any, inputs: Any, attributes: Any, params: Any) -> Any:
            return builder.emit_te(_same_bits, inputs[0], frontend.get_type(attributes["to"]))

    return {"BitCast": BitCast}


def _same_bits(data: Any, kind: Any) -> Any:
    te, tirx = importlib.import_module("tvm.te"), importlib.import_module("tvm.tirx")
    return te.compute(data.shape, lambda *place: tirx.reinterpret(str(kind), data(*place)), name="same_bits")
