"""Opt levels: five recipes of Relax passes, each of which contains the one below it.

TVM's own `PassContext(opt_level=...)` only switches fusion on from 1 up (77 functions at 0 and the same 31 at 1 to 4
for SqueezeNet), so the levels are explicit lists of passes here, and every pass runs whatever its own opt level is.

A layout that a study names is kept at every level (`sweep.toolchain.asked_passes`). Where it names none, convolutions
keep that of their import at levels 0 to 2, and from 3 on they have channels last but for narrow groups with windows of
several positions (`sweep.toolchain.passes.layout`). Inputs and outputs keep theirs in any case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.errors import LowerFailed
from sweep.toolchain.asked_passes import AskedPasses
from sweep.toolchain.crash_notes import Crash
from sweep.toolchain.layout_facts import layout_facts
from sweep.toolchain.pass_runs import LeftOut, PassRun, run_passes
from sweep.toolchain.passes.call import calls_of, operator_of

__all__ = ["RECIPES", "Lowered", "Recipe", "finish", "lower"]

_PASSES = "sweep.toolchain.passes"
_GUARDED = f"{_PASSES}.guarded"
_FOLDS_FROM = 2

_PAIRS = {"FuseTIR": "FuseOps"}
"""Groups of operators that do not become functions cannot be built."""

_SUSPECTS = (f"{_PASSES}.layout:ChannelsLast",)
"""What makes forms of operators that TVM has no program for: where lowering fails, it is tried without."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What one opt level does to an imported module."""

    name: str
    passes: tuple[str, ...]
    """In order; a name with no colon is of `tvm.relax.transform`, another is `module:name`."""
    at_build: tuple[str, ...]
    """After the tuning records were applied."""
    description: str


_CANONICALISE = (
    f"{_GUARDED}.decomposition:DecomposeOpsForInference",
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
_HALF_NORMS = f"{_GUARDED}.decomposition:DecomposeHalfNorms"
_PACK_INTEGERS = f"{_PASSES}.integers.dot_products:PackDotProducts"
_GROUPED = f"{_PASSES}.groups.grouped_convolutions:GroupedConvolutions"
_FREE_LAYOUTS = ("AttachAttrLayoutFreeBuffers", f"{_PASSES}.integers.dot_products:KeepPackedWeights")
_LEGALISE = ("LegalizeOps", f"{_PASSES}.tile_axes:SplitTiles", "AnnotateTIROpPattern")
_LEGALISE_AND_FUSE = (_HALF_NORMS, *_LEGALISE, "FuseOps", "FuseTIR")
_FOLD_PROGRAMS = (f"{_PASSES}.constant_programs:FoldConstantPrograms", "FoldConstant")
_LEGALISE_FOLD_AND_FUSE = (
    *_LEGALISE,
    *_FOLD_PROGRAMS,
    "FuseOps",
    "FuseTIR",
    "DeadCodeElimination",
)
_PREPACK = (
    f"{_GUARDED}.prepacking:SplitLayoutRewritePreproc",
    *_FOLD_PROGRAMS,
    "CanonicalizeBindings",
    "DeadCodeElimination",
    f"{_PASSES}.concatenations:ConcatenateInPlace",
    f"{_PASSES}.integers.dot_schedule:ScheduleDotProducts",
)

RECIPES: dict[int, Recipe] = {
    0: Recipe(
        "legalise",
        (_HALF_NORMS, *_LEGALISE),
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
            _PACK_INTEGERS,
            _GROUPED,
            *_LEGALISE_FOLD_AND_FUSE,
            *_FREE_LAYOUTS,
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
            f"{_GUARDED}.parallel_products:CombineParallelMatmul",
            *_CHANNELS_LAST,
            "tvm.relax.transform:FastMathTransform",
            _PACK_INTEGERS,
            _GROUPED,
            *_LEGALISE_FOLD_AND_FUSE,
            *_FREE_LAYOUTS,
        ),
        _PREPACK,
        "also combine parallel branches and use fast approximations of exp, tanh, erf and softmax",
    ),
}


@dataclass(frozen=True, slots=True)
class Lowered:
    """A module of tensor programs."""

    module: Any
    level: int
    """Of the recipe that was followed: below the one asked for where that refuses the network."""
    left_out: tuple[LeftOut, ...]
    """What its level asks for and was not done."""
    layout: Mapping[str, Any]
    """That of its convolutions: see `sweep.toolchain.layout_facts`."""


def lower(
    module: Any, options: Mapping[str, Any], target: Any, crashes: Sequence[Crash] = (), below: int | None = None
) -> Lowered:
    """An imported Relax module, lowered to TensorIR by the recipe of its opt level, in its layout and precision.

    A pass that refuses the network is left out; where what every level needs refuses what the others have made of it,
    the next lower recipe is followed.

    options: of the lower stage. crashes: of earlier tries. below: a level whose recipe is known not to do, nor any
    above it. Raises LowerFailed where no recipe does.
    """
    asked = int(options["opt_level"])
    if asked not in RECIPES:
        raise LowerFailed(f"no recipe for opt_level {asked}; there are {', '.join(map(str, RECIPES))}")
    asking = AskedPasses(options)
    needed = frozenset({*RECIPES[0].passes, *asking.needed(asked)})
    refusals: list[LeftOut] = []
    first: LowerFailed | None = None
    for level in range(asked if below is None else below - 1, -1, -1):
        passes = _passes(level, asking)
        refused: LowerFailed | None = None
        for suspect in (None, *(name for name in _SUSPECTS if name in passes)):
            without = {} if suspect is None else {suspect: str(refused)}
            run = PassRun(target, needed, _PAIRS, f"{level}{'-' * len(without)}/", crashes, without)
            try:
                return _lowered(module, passes, run, level, asking, refusals)
            except LowerFailed as error:
                refused = error
                first = first or error
        refusals.append(LeftOut.because(f"level {level}", refused or ""))
    raise first or LowerFailed("no recipe is left")


def _lowered(
    module: Any, passes: Sequence[str], run: PassRun, level: int, asking: AskedPasses, before: list[LeftOut]
) -> Lowered:
    """By one recipe. Raises LowerFailed."""
    programs = min(passes.index(name) for name in (_PACK_INTEGERS, "LegalizeOps") if name in passes)
    with asking.layers_kept():
        operators, left_out = run_passes(passes[:programs], module, run)
    layout = layout_facts(operators, asking.layout_at(level))
    lowered, more = run_passes(passes[programs:], operators, run)
    _check_is_lowered(lowered)
    return Lowered(lowered, level, (*before, *left_out, *more), layout)


def _passes(level: int, asking: AskedPasses) -> list[str]:
    """Those of a level with those that change layout, precision or execution."""
    passes = asking.in_recipe(RECIPES[level].passes)
    converted = asking.beside(level)
    # Last before operators become functions: ToMixedPrecision takes operators only
    at = min(passes.index(name) for name in (_FUSE_LOCAL_RESPONSE, _PACK_INTEGERS, "LegalizeOps") if name in passes)
    if converted and level >= _FOLDS_FROM:  # the converted weights are constants again
        converted = [
            *converted,
            "CanonicalizeBindings",
            f"{_PASSES}.constants:FoldCheapConstants",
            "DeadCodeElimination",
        ]
    return [*asking.execution, *passes[:at], *converted, *passes[at:]]


def finish(module: Any, opt_level: int, target: Any, crashes: Sequence[Crash] = ()) -> tuple[Any, list[LeftOut]]:
    """The module after the passes of a recipe that follow the application of tuning records, and those left out."""
    return run_passes(RECIPES[opt_level].at_build, module, PassRun(target, place="build/", crashes=crashes))


def _check_is_lowered(module: Any) -> None:
    """Raise LowerFailed for an operator that nothing has made a function of: a build says so minutes later."""
    names = {name for call in calls_of(module) if (name := operator_of(call)).startswith("relax.nn.")}
    if names:
        raise LowerFailed(f"TVM has no program for {', '.join(sorted(names))} in its form here")
