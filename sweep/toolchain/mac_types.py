"""Counts the multiply-accumulates of a lowered module by the number type that they are computed in."""

from __future__ import annotations

import importlib
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from sweep.toolchain.passes.call import calls_of, operator_of

__all__ = ["macs_by_type"]

_CALLS = ("relax.call_tir", "relax.call_tir_inplace")


def macs_by_type(module: Any) -> dict[str, int]:
    """Of one call, by the wider of the number types that are multiplied; padding counts, as it is computed."""
    names = {name.name_hint: function for name, function in module.functions_items()}
    found: Counter[str] = Counter()
    of_function: dict[str, Counter[str]] = {}
    for call in calls_of(module):
        if operator_of(call) in _CALLS:
            name = call.args[0].name_hint
            if name not in of_function:
                of_function[name] = _of_program(names[name])
            found.update(of_function[name])
    return dict(sorted(found.items()))


def _of_program(function: Any) -> Counter[str]:
    tirx = importlib.import_module("tvm.tirx")
    found: Counter[str] = Counter()

    def visit(block: Any) -> None:
        dtype = _product_type(tirx, block.body)
        if dtype is not None:
            extents = [getattr(one.dom.extent, "value", None) for one in block.iter_vars]
            found[dtype] += math.prod(int(extent) for extent in extents if extent is not None)

    _visit(function.body, importlib.import_module("tvm.s_tir").SBlock, visit)
    return found


def _visit(root: Any, kind: type, do: Callable[[Any], None]) -> None:
    """Do something with each node of a kind."""

    def visit(node: Any, visitor: Any) -> None:
        do(node)
        visitor.default_visit(node)

    importlib.import_module("tvm_ffi").structural_visit(root, [(kind, visit)])


def _product_type(tirx: Any, statement: Any) -> str | None:
    """The number type of `sum[...] = sum[...] + a * b`; None for another statement."""
    if not isinstance(statement, tirx.BufferStore) or not isinstance(statement.value, tirx.Add):
        return None
    load, terms = importlib.import_module("tvm.ir").TensorLoad, [statement.value.a, statement.value.b]
    sums = [isinstance(one, load) and one.source.same_as(statement.buffer) for one in terms]
    product = _without_cast(tirx, terms[sums.index(False)]) if sum(sums) == 1 else None
    if not isinstance(product, tirx.Mul):
        return None
    factors = [_without_cast(tirx, one) for one in (product.a, product.b)]
    types = [found for one in factors if (found := _loaded_type(load, one)) is not None]
    if len(types) < len(factors) or importlib.import_module("tvm_ffi").structural_equal(*factors):
        return None  # the sum of squares of a normalisation multiplies nothing with a weight
    return max(types, key=lambda dtype: (dtype.startswith(("float", "bfloat")), _bits(dtype))).removeprefix("u")


def _without_cast(tirx: Any, value: Any) -> Any:
    while isinstance(value, tirx.Cast):
        value = value.value
    return value


def _loaded_type(load: type, value: Any) -> str | None:
    found: list[str] = []
    _visit(value, load, lambda node: found.append(str(node.ty.dtype)))
    return found[0] if found else None


def _bits(dtype: str) -> int:
    return int((re.search(r"\d+", dtype) or ["8"])[0])
