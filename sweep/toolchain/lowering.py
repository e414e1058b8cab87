"""Opt levels: five recipes of Relax passes, each of which contains the one below it.

TVM's own `PassContext(opt_level=...)` only switches fusion on from 1 up (77 functions at 0 and the same 31 at 1 to 4
for SqueezeNet), so the levels are explicit lists of passes here, and every pass runs whatever its own opt level is.

The axis `layout` is the layout of convolutions at levels 0 to 2. From 3 on they have channels last whatever it says,
but for narrow groups (`sweep.toolchain.passes.layout`), and both give one module; inputs and outputs keep theirs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sweep.errors import LowerFailed, in_one_line

__all__ = ["RECIPES", "Recipe", "lower"]

_PASS_CONTEXT_LEVEL = 3
_FOLDS_FROM = 2
_CHANNELS_LAST_FROM = 3

_LAYOUTS: dict[str, tuple[str, ...]] = {"NCHW": (), "NHWC": ("ConvertLayout",)}
_PRECISIONS: dict[str, tuple[str, ...]] = {"float32": (), "float16": ("ToMixedPrecision",)}
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "ConvertLayout": {"desired_layouts": {"relax.nn.conv2d": ["NHWC", "OHWI"]}},
    "ToMixedPrecision": {"out_dtype": "float32"},  # sums stay in float32, whatever their terms are
}


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
_FUSE_LOCAL_RESPONSE = f"{_PASSES}.normalisation:FuseLocalResponse"
_CHANNELS_LAST = (
    f"{_PASSES}.layout:ChannelsLast",
    _FUSE_LOCAL_RESPONSE,
    f"{_PASSES}.views:SimplifyViews",
    f"{_PASSES}.relu_before_concat:ReluBeforeConcat",
    "CanonicalizeBindings",
    f"{_PASSES}.constants:FoldCheapConstants",
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
_PREPACK = (
    "SplitLayoutRewritePreproc",
    "FoldConstant",
    "CanonicalizeBindings",
    "DeadCodeElimination",
    f"{_PASSES}.concatenations:ConcatenateInPlace",
)

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
        (
            *_CANONICALISE,
            "EliminateCommonSubexpr",
            f"{_PASSES}.channel_padding:PadChannels",
            *_CHANNELS_LAST,
            *_LEGALISE_FOLD_AND_FUSE,
            "AttachAttrLayoutFreeBuffers",
        ),
        _PREPACK,
        "also put channels last, write concatenations in place and eliminate common subexpressions; tuned schedules "
        "choose the layout of constant weights, packed at build",
    ),
    4: Recipe(
        "fast",
        (
            *_CANONICALISE,
            "EliminateCommonSubexpr",
            f"{_PASSES}.channel_padding:PadChannels",
            f"{_PASSES}.parallel_convolutions:CombineParallelConv2D",
            "CombineParallelMatmul",
            *_CHANNELS_LAST,
            "tvm.relax.transform:FastMathTransform",
            *_LEGALISE_FOLD_AND_FUSE,
            "AttachAttrLayoutFreeBuffers",
        ),
        _PREPACK,
        "also combine parallel branches and use fast approximations of exp, tanh, erf and softmax",
    ),
}


def lower(module: Any, options: Mapping[str, Any], target: Any) -> Any:
    """An imported Relax module, lowered to TensorIR by the recipe of its opt level, in its layout and precision.

    options: of the lower stage. Raises LowerFailed.
    """
    level = int(options["opt_level"])
    if level not in RECIPES:
        raise LowerFailed(f"no recipe for opt_level {level}; there are {', '.join(map(str, RECIPES))}")
    passes = list(RECIPES[level].passes)
    converted = [*_layout_passes(str(options.get("layout") or "NCHW"), level), *_precision_passes(options)]
    # Last before operators become functions: ToMixedPrecision takes operators only
    at = min(passes.index(name) for name in (_FUSE_LOCAL_RESPONSE, "LegalizeOps") if name in passes)
    if converted and level >= _FOLDS_FROM:  # the converted weights are constants again
        converted = [
            *converted,
            "CanonicalizeBindings",
            f"{_PASSES}.constants:FoldCheapConstants",
            "DeadCodeElimination",
        ]
    return _apply([*passes[:at], *converted, *passes[at:]], module, target)


def finish(module: Any, opt_level: int, target: Any) -> Any:
    """The passes of a recipe that follow the application of tuning records. Raises LowerFailed."""
    return _apply(RECIPES[opt_level].at_build, module, target)


def _layout_passes(layout: str, level: int) -> Sequence[str]:
    """The passes that change the layout; the recipes from level 3 on have channels last already."""
    if layout not in _LAYOUTS:
        raise LowerFailed(f"no recipe for layout {layout}; there are {', '.join(_LAYOUTS)}")
    return _LAYOUTS[layout] if level < _CHANNELS_LAST_FROM else ()


def _precision_passes(options: Mapping[str, Any]) -> Sequence[str]:
    """The passes that change the number type: a precision's own, or those of its type, which may be its name."""
    if passes := options.get("passes"):
        return tuple(passes)
    dtype = str(options.get("dtype") or options.get("precision") or "float32")
    if dtype not in _PRECISIONS:
        raise LowerFailed(f"no recipe for precision {dtype}; there are {', '.join(_PRECISIONS)}")
    return _PRECISIONS[dtype]


def _apply(passes: Sequence[str], module: Any, target: Any) -> Any:
    tvm = importlib.import_module("tvm")
    with target, tvm.transform.PassContext(opt_level=_PASS_CONTEXT_LEVEL):
        for name in passes:
            try:
                module = _make(name)()(module)
            except Exception as error:
                raise LowerFailed(f"pass {name.rpartition(':')[2]} failed: {in_one_line(error)}") from error
    return module


def _make(name: str) -> Callable[[], Any]:
    if name in _ARGUMENTS:
        return partial(getattr(importlib.import_module("tvm.relax.transform"), name), **_ARGUMENTS[name])
    module, _, attribute = name.rpartition(":")
    make: Callable[[], Any] = getattr(importlib.import_module(module or "tvm.relax.transform"), attribute)
    return make
