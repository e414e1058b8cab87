"""Splits the packing of weights from the kernels that read them by TVM's own pass, around what it cannot take."""

from __future__ import annotations

import importlib
from typing import Any

from tvm import IRModule, te, tirx
from tvm.ir.transform import module_pass

__all__ = ["SplitLayoutRewritePreproc"]


@module_pass(opt_level=0, name="SplitLayoutRewritePreproc")
class SplitLayoutRewritePreproc:
    """The pass: of a function whose loops are in no block, as those of a scatter, TVM's does not know what to think.
    Such a function packs nothing and stays as it is.
    """

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module whose weights are packed by functions of their own."""
        split = importlib.import_module("tvm.relax.transform").SplitLayoutRewritePreproc()
        try:
            return split(module)
        except Exception:  # noqa: BLE001  (TVM raises what it likes)
            refused = {name: function for name, function in module.functions_items() if not _is_taken(split, function)}
        without = module.clone()
        for name in refused:
            without[name] = _stand_in()
        result = split(without)
        for name, function in refused.items():
            if result.get_global_vars() and name in result.functions:
                result[name] = function
        return result


def _is_taken(split: Any, function: Any) -> bool:
    if not isinstance(function, tirx.PrimFunc):
        return True
    try:
        split(IRModule({"main": function.with_attr("global_symbol", "main")}))
    except Exception:  # noqa: BLE001  (any refusal is one)
        return False
    return True


def _stand_in() -> Any:
    data = te.placeholder((1,), name="data")
    return te.create_prim_func([data, te.compute((1,), lambda i: data[i], name="same")])
