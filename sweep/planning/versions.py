"""Versions that a stage's result depends on, read without importing what they are versions of."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from functools import cache

from sweep.study.importers.importer import ModelImporter
from sweep.study.runtimes import runtime_of
from sweep.study.spec import TVM
from sweep.study.tuners.own_tuner import source_sha256

__all__ = ["RECIPES", "import_versions", "versions_of"]

RECIPES = {"import": 1, "lower": 6, "tune": 2, "build": 2, "measure": 2}
"""Raised by one when this program changes what a kind of stage does: older results are then not taken for new ones."""

_TVM = ("apache-tvm", "apache-tvm-ffi")
_DISTRIBUTIONS = {"import": (*_TVM, "onnx"), "lower": _TVM, "tune": _TVM, "build": _TVM}
"""But for a measure stage, which depends on its runtime's. Those of an import are what ONNX models need."""


def versions_of(kind: str, runtime: str = TVM) -> Mapping[str, str | int]:
    """Of a kind of stage: the recipe here, and the libraries that do the work. LLVM comes inside the TVM package."""
    if kind != "measure":
        return {"recipe": RECIPES[kind], **{name: _version(name) for name in _DISTRIBUTIONS[kind]}}
    versions = {name: _version(name) for name in runtime_of(runtime).distributions}
    # Of no installed package: a changed file is another runtime
    source = {"source": str(source_sha256(runtime))} if ":" in runtime else {}
    return {"recipe": RECIPES[kind], **versions, **source}


def import_versions(importer: ModelImporter) -> Mapping[str, str | int]:
    """Of the import of a model by this importer. Of one that names no package, a changed file is another importer."""
    names = (*_TVM, *importer.distributions)
    source = {} if importer.distributions else {"source": str(source_sha256(importer.loader))}
    return {"recipe": RECIPES["import"], **{name: _version(name) for name in names}, **source}


@cache
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
