"""Gives channels last to every convolution that gains by it.

MetaSchedule vectorises the innermost axis of a convolution's result: channels, if they come last, of which there are
mostly a multiple of a vector's lanes; else the width, which is 55, 27 or 13 as often as not. Where groups are narrow, a
vector of channels spans several of them and each lane reads other data: ShuffleNet's convolutions of four groups run at
4 GFLOPS so, and at 55 to 117 with channels second (one core, AVX-512). Those keep their layout, unless all of a network
are of one position: these become a product of matrices for each group, with vectors of its own
(`groups.grouped_convolutions`). One group for each channel is no such case, as each lane reads the channel beside; but
what is gained there (31 us for 48, 11 for 27, 5 for 25 in ShuffleNet) is less than two transpositions cost, so these
take the layout that their data has: between such products, whose shuffles they can precede, channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tvm import ir, relax
from tvm.ir.transform import module_pass

from sweep.toolchain.passes.call import calls_of, operator_of
from sweep.toolchain.passes.groups.grouped_convolutions import is_grouped_pointwise
from sweep.toolchain.passes.guarded.layout_ready import ready_for_layout

__all__ = ["ABOVE_THE_DEFAULT", "CONV2D", "RULE", "AllChannelsLast", "ChannelsLast", "converted"]

Layouts = dict[str, list[str]]

_LANES = 16
CONV2D, _CONV2D_TRANSPOSE = "relax.nn.conv2d", "relax.nn.conv2d_transpose"
_OF_TRANSPOSED: Layouts = {_CONV2D_TRANSPOSE: ["NCHW", "IOHW"]}
"""TVM has a program for no other."""
_STACK = "relax.stack"
_BAD_RULES = ("relax.nn.rms_norm", _STACK)
"""Operators whose rule does no good. That of an RMS norm turns the weights too, and gives a call without a program;
that of a stack has no name for the new axis, and divides by the rank of scalars, which ends the process.
"""
_LAYER_NORM = "relax.nn.layer_norm"
"""Its rule turns the axes that it normalises, but not the weights that lie along several of them."""
RULE = "FRelaxInferLayout"
ABOVE_THE_DEFAULT = 11
"""Level at which an operator's attribute takes the place of one that it had."""


@module_pass(opt_level=0, name="ChannelsLast")
class ChannelsLast:
    """The pass: NHWC and OHWI for every convolution that gains by it, around what TVM's ConvertLayout cannot take."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module in that layout."""
        narrow = [call for call in calls_of(module) if _is_narrow(call)]
        are_products = bool(narrow) and all(map(is_grouped_pointwise, narrow))
        return converted(module, lambda call: _gaining(call, are_products=are_products))


@module_pass(opt_level=0, name="ConvertLayout")
class AllChannelsLast:
    """The pass: NHWC and OHWI for all convolutions, which the axis `layout` asks for."""

    def transform_module(self, module: Any, _context: Any) -> Any:
        """The module in that layout."""
        return converted(module, lambda call: {CONV2D: ["NHWC", "OHWI"]})


def converted(module: Any, of_convolutions: Callable[[Any], Layouts]) -> Any:
    """The module in the layouts that are asked for. Where TVM refuses it, it is made ready first, and operators whose
    rule fails keep the layout that they have.
    """

    def layouts(call: Any) -> Layouts:
        return _OF_TRANSPOSED if operator_of(call) == _CONV2D_TRANSPOSE else of_convolutions(call)

    convert = relax.transform.ConvertLayout({}, layouts)
    names, bad = _operators(module), _bad_rules(module)
    if CONV2D not in names and _STACK in names:
        return module
    first: Exception | None = None
    try:
        if _STACK not in names:
            with _without_rules(bad):
                return convert(module)
    except Exception as error:  # noqa: BLE001  (TVM raises what it likes)
        first = error
    if CONV2D not in names:
        return module
    ready = ready_for_layout(module)
    others = sorted(_operators(ready) - {CONV2D, _CONV2D_TRANSPOSE, *bad})
    for kept in ((), *((name,) for name in others), others):
        try:
            with _without_rules((*bad, *kept)):
                return convert(ready)
        except Exception as error:  # noqa: BLE001  (another operator may be the one that it cannot take)
            first = first or error
    assert first is not None
    raise first


def _bad_rules(module: Any) -> tuple[str, ...]:
    """Operators of a module that keep the layout that they have."""
    norms = (call for call in calls_of(module) if operator_of(call) == _LAYER_NORM)
    return (*_BAD_RULES, _LAYER_NORM) if any(len(norm.attrs.axes) > 1 for norm in norms) else _BAD_RULES


def _operators(module: Any) -> set[str]:
    """Names of the operators that a module calls and that have a rule of layouts."""
    names = {name for call in calls_of(module) if (name := operator_of(call)).startswith("relax.")}
    return {name for name in names if ir.Op.get(name).get_attr(RULE) is not None}


@contextmanager
def _without_rules(names: Sequence[str]) -> Iterator[None]:
    """For as long as it lasts these operators keep the layout of the imported network."""
    rules = {name: ir.Op.get(name).get_attr(RULE) for name in names}
    for name in names:
        ir.Op.get(name).reset_attr(RULE)
    try:
        yield
    finally:
        for name, rule in rules.items():
            ir.Op.get(name).set_attr(RULE, rule, ABOVE_THE_DEFAULT)


def _gaining(call: Any, *, are_products: bool) -> Layouts:
    """What ConvertLayout asks of each operator: the layouts that it shall have, by the operator's name. Without an
    answer it takes the layout of its data.

    are_products: whether the module has narrow groups, all of which become products of matrices.
    """
    if operator_of(call) != CONV2D or (_is_depthwise(call) and not are_products):
        return {}
    return {CONV2D: ["NCHW", "OIHW"] if _is_narrow(call) and not are_products else ["NHWC", "OHWI"]}


def _is_narrow(call: Any) -> bool:
    if operator_of(call) != CONV2D or int(call.attrs.groups) == 1 or _is_depthwise(call):
        return False
    return _channels(call) // int(call.attrs.groups) % _LANES > 0


def _is_depthwise(call: Any) -> bool:
    return 1 < int(call.attrs.groups) == _channels(call)


def _channels(call: Any) -> int:
    return int(call.args[1].ty.shape[str(call.attrs.kernel_layout).index("O")])
