"""The operators of each format, made from the code: TVM's tables of converters, our rules, the runtimes' kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from sweep.inspection.converter_maps import converted_by_tvm
from sweep.inspection.operator_support import OperatorTable
from sweep.study.importers.importer_registry import IMPORTERS

__all__ = ["operator_table", "operator_tables"]


def operator_tables() -> list[OperatorTable]:
    """Of every format whose operators are known."""
    return [table for importer in IMPORTERS if (table := operator_table(importer.name)) is not None]


def operator_table(name: str) -> OperatorTable | None:
    """Of a format, by the name of its importer; None where nothing is known of its operators, as of one that a package
    adds.
    """
    from sweep.toolchain.models.own_operators import own_operators

    by_tvm = converted_by_tvm(name)
    if by_tvm is None:
        return None
    known = _KNOWN[name]() if name in _KNOWN else sorted(by_tvm)
    return OperatorTable(name, tuple(known), by_tvm, own_operators(name), _runtimes(name))


def _onnx_operators() -> list[str]:
    """Those of ONNX itself in all its versions, then those of ONNX Runtime's domain that our rules know."""
    import onnx

    from sweep.toolchain.models.own_operators import own_operators

    own = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if schema.domain in ("", "ai.onnx")}
    others = {name for name in own_operators("onnx") if "." in name}
    return [*sorted(own), *sorted(others)]


def _tflite_operators() -> list[str]:
    from sweep.inspection.readers.tflite_graph import builtin_operators

    return sorted(builtin_operators().values())


_KNOWN: Mapping[str, Callable[[], list[str]]] = {"onnx": _onnx_operators, "tflite": _tflite_operators}
"""Format -> all its operators; those that TVM has a converter for where it has no end of them, as PyTorch."""


def _runtimes(format_name: str) -> Mapping[str, frozenset[str]]:
    if format_name == "onnx":
        with suppress(ImportError):
            from sweep.devices.runtimes.onnxruntime_kernels import onnxruntime_operators

            return {"onnxruntime": onnxruntime_operators()}
    return {}
