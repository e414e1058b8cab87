"""Which instruction for sums of four products of 8-bit integers a target has, and which programs are written for it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

__all__ = ["DOT", "INSTRUCTIONS", "DotInstruction", "dot_block", "dot_instructions", "signed_activations"]

DOT = "sweep.dot"
"""Annotation of a block that is written for such an instruction: the name of its tensor intrinsic."""


@dataclass(frozen=True, slots=True)
class DotInstruction:
    """`sum[lane] += data[0..4] . weights[lane][0..4]` for all lanes of a register at once."""

    name: str
    """Of the tensor intrinsic."""
    lanes: int
    """32-bit sums in a register."""
    signed: bool
    """Whether the data are int8; else they are uint8. Weights are int8."""
    features: tuple[str, ...]
    """LLVM's names of the features of a CPU that has it: one of them does."""
    llvm: str
    """LLVM's name of the instruction."""
    operands: str
    """Number type of both operands in the call of it."""


_X86 = (
    DotInstruction("sweep_dot_16x4_vnni", 16, False, ("avx512vnni",), "llvm.x86.avx512.vpdpbusd.512", "uint8"),
    DotInstruction("sweep_dot_8x4_vnni", 8, False, ("avx512vnni", "avxvnni"), "llvm.x86.avx512.vpdpbusd.256", "uint8"),
)
_ARM = (DotInstruction("sweep_dot_4x4_sdot", 4, True, ("dotprod",), "llvm.aarch64.neon.sdot.v4i32.v16i8", "int8"),)

INSTRUCTIONS = {one.name: one for one in (*_X86, *_ARM)}
"""By the name of the tensor intrinsic."""


def dot_block(function: Any) -> Any | None:
    """The block of a tensor program that is written for such an instruction."""
    found: list[Any] = []

    def visit(block: Any, visitor: Any) -> None:
        if DOT in block.annotations:
            found.append(block)
        visitor.default_visit(block)

    block_type = importlib.import_module("tvm.s_tir").SBlock
    importlib.import_module("tvm_ffi").structural_visit(function.body, [(block_type, visit)])
    return found[0] if found else None


def dot_instructions(target: Any = None) -> tuple[DotInstruction, ...]:
    """Those of a target, by default of the one in force, the widest first; of another than a CPU, none."""
    target = target or importlib.import_module("tvm.target").Target.current(allow_none=True)
    if target is None or str(target.kind.name) != "llvm":
        return ()
    triple = str(target.attrs.get("mtriple", "") or "")
    known = _ARM if triple.startswith(("aarch64", "arm64")) else () if triple and "86" not in triple else _X86
    has = importlib.import_module("tvm.target.codegen").llvm_cpu_has_features
    return tuple(one for one in known if any(bool(has(feature, target)) for feature in one.features))


def signed_activations() -> bool | None:
    """Whether the products of the target in force take int8 data; False: uint8; None: it has no such instruction."""
    found = dot_instructions()
    return found[0].signed if found else None
