"""Builds the sentinel kernel: constant work, timed around each block of repeats, to show whether anything disturbed.

Most of it is a naive matrix product, several times over, that stays in the first two caches: its time is that of the
core's clock and of whoever shares the core. The rest adds 1 to each element of a vector too long for them, and takes as
long as the memory lets it: others' traffic shows, yet a neighbour that builds does not rule it. Together 7 ms on a core
of 2.6 GHz, and as long with more threads, since each has rows of its own.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from sweep.toolchain.artifacts import compile_candidate
from sweep.toolchain.tvm_loader import load_tvm

__all__ = ["compile_sentinel_kernel"]

SIZE, ROUNDS = 128, 4
"""Of the product, for each thread: three matrices of 64 kB."""
STREAM = 1 << 21
"""Elements of the vectors: 8 MB read, 8 MB written."""


def compile_sentinel_kernel(
    target: Any, threads: int, out_path: Path, linker: str | None = None
) -> list[dict[str, Any]]:
    """Write the kernel for a resolved target into the shared library `out_path`; gives the shapes and dtypes of its
    arguments. Raises BuildFailed.
    """
    load_tvm(())
    te, s_tir = importlib.import_module("tvm.te"), importlib.import_module("tvm.s_tir")
    tvm = importlib.import_module("tvm")
    left = te.placeholder((SIZE * threads, SIZE), name="left")
    right = te.placeholder((SIZE, SIZE), name="right")
    source = te.placeholder((STREAM,), name="source")
    turn, k = te.reduce_axis((0, ROUNDS), name="turn"), te.reduce_axis((0, SIZE), name="k")
    product = te.compute(
        (SIZE * threads, SIZE), lambda i, j: te.sum(left[i, k] * right[k, j], axis=[turn, k]), name="product"
    )
    stream = te.compute((STREAM,), lambda i: source[i] + 1.0, name="stream")
    arguments = [left, right, source, product, stream]
    schedule = s_tir.Schedule(te.create_prim_func(arguments))
    if threads > 1:
        for block in ("product", "stream"):
            outermost = schedule.get_loops(block)[0]
            schedule.parallel(schedule.split(outermost, [threads, None])[0])
    function = schedule.mod["main"].with_attr("global_symbol", "main")
    compile_candidate(tvm.IRModule({"main": function}), target, out_path, linker)
    return [{"shape": [int(size) for size in tensor.shape], "dtype": str(tensor.dtype)} for tensor in arguments]
