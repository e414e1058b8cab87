"""What the axes `layout` and `precision` ask of a recipe: passes in the place of its own, and passes beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sweep.errors import LowerFailed

__all__ = ["AskedPasses"]

_CHOOSES_FROM = 3
"""The level from which recipes choose the layout by themselves."""

_PASSES = "sweep.toolchain.passes"
_CHOSEN = f"{_PASSES}.layout:ChannelsLast"
_KEPT = {
    "NCHW": f"{_PASSES}.kept.explicit_layout:AllNCHW",
    "NHWC": f"{_PASSES}.kept.explicit_layout:AllNHWC",
}
_BELOW: dict[str, tuple[str, ...]] = {
    "NCHW": (),
    "NHWC": (f"{_PASSES}.layout:AllChannelsLast",),
    "as-is": (),
    "auto": (),
}
"""What a layout that is not kept means at the levels that choose none: what it has meant before any was kept."""

_EXECUTIONS: dict[str, tuple[str, ...]] = {
    "integer": (f"{_PASSES}.integers.execution:ExecuteIntegers",),
    "simulated": (),
}
"""What comes first of all, as constants that are folded are no longer quantised. A network of floats stays as it is."""
_PRECISIONS: dict[str, tuple[str, ...]] = {
    "float32": (),
    "float16": (f"{_PASSES}.guarded.precision:ToMixedPrecision",),
    "bfloat16": (f"{_PASSES}.kept.reduced_precision:ToBFloat16",),
}
_WITH_KEPT_LAYERS = {
    "float16": (f"{_PASSES}.kept.reduced_precision:ToFloat16",),
    "bfloat16": (f"{_PASSES}.kept.reduced_precision:ToBFloat16",),
}
"""Of networks that keep some layers in float32; of a quantised one these stay so when it is quantised."""
_KEPT_LAYERS = ("float32", "float32_first", "float32_last")
_COMBINING = (
    f"{_PASSES}.parallel_convolutions:CombineParallelConv2D",
    f"{_PASSES}.guarded.parallel_products:CombineParallelMatmul",
)
"""What makes one layer of several, so that none can be kept by its name."""


class AskedPasses:
    """What the options of a lower stage ask for."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Raises LowerFailed: there is no recipe for it."""
        self._options = options
        self._own: Mapping[str, Any] = options.get("precision_options") or {}
        self._layout = _known(options.get("layout"), "NCHW", "layout", _BELOW)
        self._keeps_layout = bool(options.get("keep_layout"))
        is_short = str(options.get("precision") or "float32") in _WITH_KEPT_LAYERS
        self._keeps_layers = is_short and any(self._own.get(key) for key in _KEPT_LAYERS)
        execution = _known(options.get("execution") or self._own.get("execution"), "integer", "execution", _EXECUTIONS)
        self.execution = _EXECUTIONS[execution]
        """Those by which a quantised network computes in integers, unless it is to be simulated in floats."""
        self._precision = self._precision_passes()

    def beside(self, level: int) -> list[str]:
        """The passes that come last before operators become programs."""
        if level >= _CHOOSES_FROM:
            return [*self._precision]
        return [*((_KEPT[self._layout],) if self._keeps_layout else _BELOW[self._layout]), *self._precision]

    def in_recipe(self, passes: Sequence[str]) -> list[str]:
        """The passes of a recipe, with what a layout that is kept asks for in place of what the recipe would choose."""
        chosen = [] if self._layout == "as-is" else [_CHOSEN]
        instead = [_KEPT[self._layout]] if self._keeps_layout else chosen
        without = _COMBINING if self._keeps_layers else ()
        return [one for name in passes if name not in without for one in (instead if name == _CHOSEN else [name])]

    def needed(self, level: int) -> list[str]:
        """Those of them that may not be left out, or the cell would not be what it says."""
        kept = [_KEPT[self._layout]] if self._keeps_layout else []
        return [*self.beside(level), *self.beside(0), *kept]

    def layout_at(self, level: int) -> str | None:
        """The layout that convolutions should have in the end; None: any will do."""
        if self._keeps_layout or self._layout == "NHWC":
            return self._layout
        return "NHWC" if level >= _CHOOSES_FROM and self._layout != "as-is" else None

    def layers_kept(self) -> AbstractContextManager[None]:
        """While passes run: which layers stay in float32."""
        if not self._keeps_layers:
            return nullcontext()
        from sweep.toolchain.passes.kept.reduced_precision import Keeping, keeping

        return keeping(Keeping.of(self._options))

    def _precision_passes(self) -> Sequence[str]:
        """The passes that change the number type: a precision's own, or those of its type, which may be its name."""
        if passes := self._options.get("passes"):
            return tuple(passes)
        named = self._options.get("dtype") or self._options.get("precision")
        dtype = _known(named, "float32", "precision", _PRECISIONS)
        return _WITH_KEPT_LAYERS[dtype] if self._keeps_layers else _PRECISIONS[dtype]


def _known(value: object, default: str, what: str, known: Mapping[str, Any]) -> str:
    name = str(value or default)
    if name not in known:
        raise LowerFailed(f"no recipe for {what} {name}; there are {', '.join(known)}")
    return name
