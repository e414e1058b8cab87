"""Opt levels: five recipes of Relax passes, each of which contains the one below it.

TVM's own `PassContext(opt_level=...)` only switches fusion on from 1 up (77 functions at 0 and the same 31 at 1 to 4
for SqueezeNet), so the levels are explicit lists of passes here, and every pass runs whatever its own opt level is.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sweep.errors import LowerFailed

__all__ = ["RECIPES", "Recipe", "lower", "prepacks_weights"]

_PASS_CONTEXT_LEVEL = 3


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one opt level does to an imported module."""

    name: str
    passes: tuple[str, ...]
    """In order; a name with no colon is of `tvm.relax.transform`, another is `module:name`."""
    at_build: tuple[str, ...]
    """After the tuning records were applied."""
    description: str


_PASSES = "sweep.toolchain.passes"
_CANONICALISE = (
    "DecomposeOpsForInference",
    "CanonicalizeBindings",
    "DeadCodeElimination",
    f"{_PASSES}.constants:FoldCheapConstants",
    f"{_PASSES}.affine:FoldAffine",
    "FoldConstant",
    "DeadCodeElimination",
)
_LEGALISE_AND_FUSE = ("LegalizeOps", "AnnotateTIROpPattern", "FuseOps", "FuseTIR")
_LEGALISE_FOLD_AND_FUSE = (
    "LegalizeOps",
    "AnnotateTIROpPattern",
    "FoldConstant",
    "FuseOps",
    "FuseTIR",
    "DeadCodeElimination",
)
_PREPACK = ("SplitLayoutRewritePreproc", "FoldConstant", "DeadCodeElimination")

RECIPES: dict[int, Recipe] = {
    0: Recipe(
        "legalise",
        ("LegalizeOps", "AnnotateTIROpPattern"),
        (),
        "one function an operator, nothing fused, nothing folded",
    ),
    1: Recipe("fuse", _LEGALISE_AND_FUSE, (), "also fuse element-wise operators into their producers"),
    2: Recipe(
        "fold",
        (*_CANONICALISE, *_LEGALISE_FOLD_AND_FUSE),
        (),
        "also fold constants, and batch norms and scales into convolutions; canonicalise bindings, drop dead code",
    ),
    3: Recipe(
        "prepack",
        (*_CANONICALISE, "EliminateCommonSubexpr", *_LEGALISE_FOLD_AND_FUSE, "AttachAttrLayoutFreeBuffers"),
        _PREPACK,
        "also eliminate common subexpressions; tuned schedules choose the layout of constant weights, packed at build",
    ),
    4: Recipe(
        "fast",
        (
            *_CANONICALISE,
            "EliminateCommonSubexpr",
            f"{_PASSES}.parallel_convolutions:CombineParallelConv2D",
            "CombineParallelMatmul",
            "tvm.relax.transform:FastMathTransform",
            *_LEGALISE_FOLD_AND_FUSE,
            "AttachAttrLayoutFreeBuffers",
        ),
        _PREPACK,
        "also combine parallel branches and use fast approximations of exp, tanh, erf and softmax",
    ),
}


def lower(module: Any, options: Mapping[str, Any], target: Any) -> Any:
    """An imported Relax module, lowered to TensorIR by the recipe of `options["opt_level"]`. Raises LowerFailed."""
    return _apply(RECIPES[int(options["opt_level"])].passes, module, target)


def prepacks_weights(opt_level: int) -> bool:
    """Whether tuned layouts of constant weights are packed at build."""
    return bool(RECIPES[opt_level].at_build)


def finish(module: Any, opt_level: int, target: Any) -> Any:
    """The passes of a recipe that follow the application of tuning records. Raises LowerFailed."""
    return _apply(RECIPES[opt_level].at_build, module, target)


def _apply(passes: tuple[str, ...], module: Any, target: Any) -> Any:
    tvm = importlib.import_module("tvm")
    with target, tvm.transform.PassContext(opt_level=_PASS_CONTEXT_LEVEL):
        for name in passes:
            try:
                module = _make(name)()(module)
            except Exception as error:
                raise LowerFailed(
                    f"pass {name.rpartition(':')[2]} failed: {' '.join(str(error).split())[:400]}"
                ) from error
    return module


def _make(name: str) -> Callable[[], Any]:
    module, _, attribute = name.rpartition(":")
    make: Callable[[], Any] = getattr(importlib.import_module(module or "tvm.relax.transform"), attribute)
    return make
