"""What each layer of a built network asks of a device: operations, and bytes of inputs, weights and outputs.

A layer is a function of the library, however often the network calls it. The module is made again as it was built, with
the records that it was built with, since schedules pack weights and join functions.
"""

from __future__ import annotations

import importlib
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sweep.errors import BuildFailed
from sweep.toolchain.artifacts import compile_kernels
from sweep.toolchain.best_records import BestRecords
from sweep.toolchain.build_recipes import Buildable, BuildRecipes
from sweep.toolchain.passes.call import operator_of
from sweep.toolchain.tvm_loader import load_tvm

__all__ = ["bound_calls", "built_again", "calls_of_programs", "layers_in", "layers_of_build"]

_CALLS = ("relax.call_tir", "relax.call_tir_inplace")


def layers_of_build(
    recipes: BuildRecipes, records_dir: Path | None, out_path: Path, linker: str | None = None
) -> list[dict[str, Any]]:
    """Write the functions that the network calls into the shared library `out_path`: those of a network's own library
    are called by TVM's virtual machine alone. For each, in the order of its first call: `name`, `count` of calls,
    `operations`, `input_bytes`, `weight_bytes` and `output_bytes` of one, and its `args`. Raises BuildFailed.
    """
    return layers_in(built_again(recipes, records_dir), recipes.target, out_path, linker)


def built_again(recipes: BuildRecipes, records_dir: Path | None) -> Buildable:
    """The module of a build, made anew. Raises BuildFailed."""
    load_tvm(())
    with tempfile.TemporaryDirectory(prefix="records-") as scratch:
        best = BestRecords(records_dir, Path(scratch))
        one = next(recipes.tries())
        return recipes.make(one, recipes.read(one), best, None, Path(scratch))


def layers_in(built: Buildable, target: Any, out_path: Path, linker: str | None = None) -> list[dict[str, Any]]:
    """As `layers_of_build`, of a module that was made anew."""
    found: dict[str, dict[str, Any]] = {}
    before = {str(name.name_hint): function for name, function in built.lowered.functions_items()}
    now = {str(name.name_hint): function for name, function in built.module.functions_items()}
    for name, call in calls_of_programs(built.module):
        if name in found:
            found[name]["count"] += 1
            continue
        program = before.get(_IN_PLACE.sub("", name), now[name])
        about = _tensors(call, program)
        if about is not None:
            found[name] = {"name": name, "count": 1, "operations": _operations(program), **about}
    if not found:
        raise BuildFailed("the network calls no function that could be timed")
    called = {name: now[name].with_attr("global_symbol", name) for name in found}
    compile_kernels(importlib.import_module("tvm").IRModule(called), target, out_path, linker)
    return list(found.values())


_IN_PLACE = re.compile(r"_in_place(_?\d+)?$")
"""Of a function that writes its part of a concatenation: what it reads and writes is what it did before."""


def calls_of_programs(module: Any) -> Iterator[tuple[str, Any]]:
    """Calls of tensor programs in the order of the entry function, by the program's name."""
    for _, name, call in bound_calls(module):
        if name:
            yield name, call


def bound_calls(module: Any) -> Iterator[tuple[Any, str, Any]]:
    """All that the entry function binds, in its order: the variable, the name of the tensor program that is called,
    empty where it is none, and the value.
    """
    relax = importlib.import_module("tvm.relax")
    for block in module["main"].body.blocks:
        for binding in block.bindings:
            value = getattr(binding, "value", None)
            program = ""
            if isinstance(value, relax.Call) and operator_of(value) in _CALLS:
                program = str(value.args[0].name_hint)
            yield binding.var, program, value


def _tensors(call: Any, program: Any) -> dict[str, Any] | None:
    """What a call gives its program, and what of it that reads and writes; None where a size is not known.

    program: as it was before it was scheduled, with the parameters of the one that is called.
    """
    relax = importlib.import_module("tvm.relax")
    given = list(call.args[1].fields) if isinstance(call.args[1], relax.Tuple) else [call.args[1]]
    results = call.ty_args[0]
    outputs = list(results.fields) if hasattr(results, "fields") else [results]
    if len(call.args) > 2:  # sizes that are given at run time
        return None
    is_in_place = operator_of(call) == _CALLS[1]  # its output is the last of what it is given
    inputs = given[: len(given) - len(outputs)] if is_in_place else given
    try:
        args = [_tensor(value.ty) for value in given] + ([] if is_in_place else [_tensor(kind) for kind in outputs])
        sizes = [_bytes(_tensor(parameter.ty)) for parameter in program.params]
    except (TypeError, AttributeError, KeyError):
        return None
    if len(sizes) != len(args):
        return None
    constant_type = importlib.import_module("tvm.ir").GenericConst
    is_weight = [isinstance(value, constant_type) for value in inputs]
    read = list(zip(sizes, is_weight, strict=False))
    return {
        "input_bytes": sum(size for size, constant in read if not constant),
        "weight_bytes": sum(size for size, constant in read if constant),
        "output_bytes": sum(sizes[len(inputs) :]),
        "args": args,
    }


def _tensor(kind: Any) -> dict[str, Any]:
    """Of a type, whether of an expression or of a parameter."""
    return {"shape": [int(size) for size in kind.shape], "dtype": str(kind.dtype)}


def _bytes(tensor: Mapping[str, Any]) -> int:
    import numpy as np

    kind = "uint8" if tensor["dtype"] == "bool" else "uint16" if tensor["dtype"] == "bfloat16" else tensor["dtype"]
    return int(math.prod(tensor["shape"])) * int(np.dtype(kind).itemsize)


def _operations(program: Any) -> int | None:
    """None where TVM cannot count them."""
    tvm = importlib.import_module("tvm")
    count = importlib.import_module("tvm.s_tir.analysis").estimate_tir_flops
    try:
        return int(count(tvm.IRModule({"main": program})))
    except Exception:  # noqa: BLE001 - whatever TVM raises, the count is not known
        return None
