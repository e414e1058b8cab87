"""The operators that this package's importers take beside those of TVM's, by format."""

from __future__ import annotations

from collections.abc import Callable, Mapping

__all__ = ["KEEPS_STATE", "own_operators"]

KEEPS_STATE = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"})
"""Operators of TFLite that keep something from call to call, which a compiled network is given and returns: in the
network itself, that is, and not in the bodies of its control flow.
"""


def own_operators(format_name: str) -> frozenset[str]:
    """What is rewritten, or converted by a converter of our own, before or while TVM imports it."""
    told = _OWN.get(format_name)
    return told() if told else frozenset()


def _onnx() -> frozenset[str]:
    from sweep.toolchain.models.rewriting.rewrite import rules
    from sweep.toolchain.models.rewriting.rules.old_operators import UPGRADED

    return frozenset(rules()) | UPGRADED | {"ai.onnx.ml.ZipMap"}


def _tflite() -> frozenset[str]:
    return KEEPS_STATE | {"DYNAMIC_UPDATE_SLICE"}


_OWN: Mapping[str, Callable[[], frozenset[str]]] = {"onnx": _onnx, "tflite": _tflite}
