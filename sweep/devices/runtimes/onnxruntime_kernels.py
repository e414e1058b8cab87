"""The operators that ONNX Runtime has a kernel for on a CPU, by its own account."""

from __future__ import annotations

import os
from functools import cache

__all__ = ["onnxruntime_operators"]


@cache
def onnxruntime_operators() -> frozenset[str]:
    """With the domain in front where it is not ONNX's own. What has no kernel and is a function of ONNX is run too."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnx
    from onnxruntime.capi import onnxruntime_pybind11_state as runtime

    own = {
        _named(kernel.domain, kernel.op_name)
        for kernel in runtime.get_all_opkernel_def()
        if kernel.provider == "CPUExecutionProvider"
    }
    functions = {
        _named(schema.domain, schema.name)
        for schema in onnx.defs.get_all_schemas()
        if schema.has_function or schema.has_context_dependent_function
    }
    known = {_named(schema.domain, schema.name) for schema in runtime.get_all_operator_schema()}
    return frozenset({*own, *(functions & known), "Constant"})


def _named(domain: str, operator: str) -> str:
    return operator if domain in ("", "ai.onnx") else f"{domain}.{operator}"
