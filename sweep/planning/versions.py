"""Versions that a stage's result depends on, read without importing what they are versions of."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from functools import cache

__all__ = ["RECIPES", "versions_of"]

RECIPES = {"import": 1, "lower": 6, "tune": 2, "build": 2, "measure": 2}
"""Raised by one when this program changes what a kind of stage does: older results are then not taken for new ones."""

_DISTRIBUTIONS = {
    "import": ("apache-tvm", "apache-tvm-ffi", "onnx"),
    "lower": ("apache-tvm", "apache-tvm-ffi"),
    "tune": ("apache-tvm", "apache-tvm-ffi"),
    "build": ("apache-tvm", "apache-tvm-ffi"),
    "measure": ("apache-tvm", "apache-tvm-ffi"),
}
_REFERENCES = {"onnxruntime": ("onnxruntime",)}


def versions_of(kind: str, runtime: str = "tvm") -> Mapping[str, str | int]:
    """Of a kind of stage: the recipe here, and the libraries that do the work. LLVM comes inside the TVM package."""
    names = _REFERENCES.get(runtime, _DISTRIBUTIONS[kind]) if kind == "measure" else _DISTRIBUTIONS[kind]
    return {"recipe": RECIPES[kind], **{name: _version(name) for name in names}}


@cache
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
