"""Tries TVM for real, one capability after the other: `python -m sweep.toolchain.probe [STEP ...]`.

It is made to be run as a child process, because it looks for crashes. Each step answers at once with one line of JSON
on standard output, so that the last line tells in which step a dead child was. Importing this module does not load TVM.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweep.errors import in_one_line

__all__ = ["STEPS"]


def _import_tvm() -> dict[str, Any]:
    tvm: Any = importlib.import_module("tvm")
    return {"version": str(tvm.__version__), "path": str(Path(tvm.__file__).parent)}


def _list_llvm() -> dict[str, Any]:
    codegen = importlib.import_module("tvm").target.codegen
    return {
        "llvm": int(codegen.llvm_version_major()),
        "targets": [str(name) for name in codegen.llvm_get_targets()],
        "host_cpu": str(codegen.llvm_get_system_cpu()),
        "host_triple": str(codegen.llvm_get_system_triple()),
    }


def _link() -> dict[str, Any]:
    """Generate code, link it with the system's compiler, load it and call it."""
    numpy, tvm = importlib.import_module("numpy"), importlib.import_module("tvm")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.so"
        tvm.compile(_small_module(), tvm.target.Target({"kind": "llvm"})).export_library(str(path))
        source, result = (tvm.runtime.tensor(numpy.zeros(8, "float32")) for _ in range(2))
        tvm.runtime.load_module(str(path))["main"](source, result)
        if not bool((result.numpy() == 1).all()):
            raise RuntimeError("compiled code gave a wrong result")
        return {"artifact_bytes": path.stat().st_size}


def _serialise() -> dict[str, Any]:
    """What a tuning database does with a workload: to JSON, to disk, and back."""
    tvm = importlib.import_module("tvm")
    database = importlib.import_module("tvm.s_tir.meta_schedule.database")
    module = _small_module()
    tvm.ir.assert_structural_equal(tvm.ir.load_json(tvm.ir.save_json(module)), module)
    with tempfile.TemporaryDirectory() as folder:
        files = {"path_workload": f"{folder}/workload.json", "path_tuning_record": f"{folder}/record.json"}
        database.JSONDatabase(**files).commit_workload(module)
        if not database.JSONDatabase(**files).has_workload(module):
            raise RuntimeError("a workload written to a tuning database was not found in it again")
    return {}


def _fit_cost_model() -> dict[str, Any]:
    """Train and ask an XGBoost model as the xgb tuner does."""
    numpy, xgboost = importlib.import_module("numpy"), importlib.import_module("xgboost")
    rows = numpy.random.default_rng(0).random((16, 4), dtype="float32")
    matrix = xgboost.DMatrix(rows, label=rows[:, 0])
    booster = xgboost.train({"max_depth": 2, "nthread": 1, "verbosity": 0}, matrix, num_boost_round=2)
    if booster.predict(matrix).shape != (16,):
        raise RuntimeError("XGBoost predicted a wrong number of values")
    return {"version": str(xgboost.__version__)}


STEPS: dict[str, Callable[[], dict[str, Any]]] = {
    "tvm": _import_tvm,
    "llvm": _list_llvm,
    "link": _link,
    "serialise": _serialise,
    "xgboost": _fit_cost_model,
}
"""In the order in which they make sense: without the first, only the last can pass."""


def _small_module() -> Any:
    tvm, te = importlib.import_module("tvm"), importlib.import_module("tvm.te")
    source = te.placeholder((8,), name="source")
    result = te.compute((8,), lambda index: source[index] + 1.0, name="result")
    return tvm.IRModule({"main": te.create_prim_func([source, result]).with_attr("global_symbol", "main")})


def main(names: list[str]) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name in names or list(STEPS):
        try:
            answer = {"step": name, "ok": True, **STEPS[name]()}
        except Exception as error:  # noqa: BLE001 - whatever a broken installation raises is the answer
            answer = {
                "step": name,
                "ok": False,
                "error": f"{type(error).__name__}: {in_one_line(error)}",
            }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
