"""Builds the kernels that show what a device can do at most: fused multiply-adds in registers, and streams of memory.

The multiply-adds are the inner kernel of a matrix product: chains of vectors that stay in registers, each step of which
takes a vector from the first cache and a number. How many chains, and how wide, is best differs between CPUs, so that
several are tried and the fastest counts. The streams add two vectors, one of them scaled (the triad of STREAM), over
buffers that lie in the caches, and one that lies well beyond the last.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sweep.toolchain.artifacts import compile_kernels
from sweep.toolchain.tvm_loader import load_tvm

__all__ = ["compile_roof_kernels"]

DTYPE, ITEM_BYTES = "float32", 4
CHAINS = (6, 8, 10, 12, 16)
"""Vectors that are summed up side by side: a core has room for 16 or 32, and starts two sums of 4 cycles a cycle."""
_SERIAL = 0
"""The kind of a loop that nobody has scheduled."""
STEPS = 1 << 15
"""Of each chain in a call: with 8 chains of 8 numbers 4 M operations a thread, 40 us on a fast core."""


def compile_roof_kernels(
    target: Any, threads: int, stream_bytes: Sequence[int], out_path: Path, linker: str | None = None
) -> list[dict[str, Any]]:
    """Write the kernels for a resolved target into the shared library `out_path`.

    stream_bytes: of the three vectors of each stream together. Gives for each kernel its `name`, its `kind` (compute or
    stream), its `work` (operations, or bytes that are read and written), `footprint_bytes` and `args`. Raises
    BuildFailed.
    """
    tvm = load_tvm(())
    kernels = [*_sums(target, threads), *_streams(threads, stream_bytes)]
    functions = {about["name"]: function for about, function in kernels}
    compile_kernels(tvm.IRModule(functions), target, out_path, linker)
    return [about for about, _ in kernels]


def _sums(target: Any, threads: int) -> Iterator[tuple[dict[str, Any], Any]]:
    te, s_tir = importlib.import_module("tvm.te"), importlib.import_module("tvm.s_tir")
    bits = int(importlib.import_module("tvm.target.codegen").llvm_get_vector_width(target))
    lanes = max(4, bits // 32)
    for width in sorted({lanes, max(4, lanes // 2)}):
        for chains in CHAINS:
            left, right, total = _sum(threads, chains * width)
            function = te.create_prim_func([left, right, total])
            schedule = _in_registers(s_tir.Schedule(function), chains, width, threads)
            name = f"sums_{width}x{chains}"
            yield (
                {
                    "name": name,
                    "kind": "compute",
                    "work": 2 * threads * chains * width * STEPS,
                    "footprint_bytes": ITEM_BYTES * (STEPS + 2 * threads * chains * width),
                    "args": _args(left, right, total),
                },
                schedule.mod["main"].with_attr("global_symbol", name),
            )


def _sum(threads: int, items: int) -> list[Any]:
    te = importlib.import_module("tvm.te")
    left, right = te.placeholder((STEPS,), DTYPE, name="left"), te.placeholder((threads, items), DTYPE, name="right")
    step = te.reduce_axis((0, STEPS), name="step")
    total = te.compute((threads, items), lambda t, i: te.sum(left[step] * right[t, i], axis=step), name="total")
    return [left, right, total]


def _triad(items: int) -> list[Any]:
    te = importlib.import_module("tvm.te")
    left, right = (te.placeholder((items,), DTYPE, name=name) for name in ("left", "right"))
    return [left, right, te.compute((items,), lambda i: left[i] + 3.0 * right[i], name="triad")]


def _in_registers(schedule: Any, chains: int, width: int, threads: int) -> Any:
    """All chains are summed up at once, a step of each after the other. Nowhere is a chain chosen at run time, which
    would keep them in memory.
    """
    sums = schedule.get_sblock("total")
    written = schedule.cache_write(sums, 0, "local")
    thread, element, step = schedule.get_loops(sums)
    chain, lane = schedule.split(element, [chains, width])
    schedule.reorder(thread, step, chain, lane)
    schedule.reverse_compute_at(written, thread)
    (of_written,) = schedule.get_loops(written)[1:]
    for unrolled, vector in ((chain, lane), schedule.split(of_written, [chains, width])):
        schedule.unroll(unrolled)
        schedule.vectorize(vector)
    zeros = schedule.decompose_reduction(sums, step)  # last: what sums up is no reduction to a schedule any more
    for loop, annotate in zip(schedule.get_loops(zeros)[1:], (schedule.unroll, schedule.vectorize), strict=True):
        if int(schedule.get(loop).kind) == _SERIAL:
            annotate(loop)
    if threads > 1:
        schedule.parallel(thread)
    return schedule


def _streams(threads: int, stream_bytes: Sequence[int]) -> Iterator[tuple[dict[str, Any], Any]]:
    te, s_tir = importlib.import_module("tvm.te"), importlib.import_module("tvm.s_tir")
    for size_bytes in stream_bytes:
        items = max(1, size_bytes // (3 * ITEM_BYTES * threads * 64)) * threads * 64
        left, right, triad = _triad(items)
        schedule = s_tir.Schedule(te.create_prim_func([left, right, triad]))
        (loop,) = schedule.get_loops(schedule.get_sblock("triad"))
        outer, _, lane = schedule.split(loop, [threads, None, 16])
        schedule.vectorize(lane)
        if threads > 1:
            schedule.parallel(outer)
        name = f"triad_{size_bytes}"
        moved = 3 * ITEM_BYTES * items
        yield (
            {
                "name": name,
                "kind": "stream",
                "work": moved,
                "footprint_bytes": moved,
                "args": _args(left, right, triad),
            },
            schedule.mod["main"].with_attr("global_symbol", name),
        )


def _args(*tensors: Any) -> list[dict[str, Any]]:
    return [{"shape": [int(size) for size in tensor.shape], "dtype": str(tensor.dtype)} for tensor in tensors]
