"""What layout the convolutions of a network ended in, which of them not in that which was asked for, and what turns
between layouts: the operators that keep a slow layout, by name.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sweep.toolchain.passes.call import bound_values, calls_in, operator_of

__all__ = ["layout_facts"]

_TURNS = ((0, 2, 3, 1), (0, 3, 1, 2))
"""Of channels to the end, and back."""
_CONVOLUTIONS = ("relax.nn.conv2d", "relax.nn.conv2d_transpose")
_TRANSPOSITION = "relax.permute_dims"
_NUMBERS = ("dequantize", "quantize", "astype", "subtract", "add", "multiply", "divide", "round")
_BY_NUMBER = frozenset(f"relax.{name}" for name in (*_NUMBERS, "clip", "minimum", "maximum"))


def layout_facts(module: Any, asked: str | None) -> dict[str, Any]:
    """Of a module before its operators become programs. asked: the layout that its convolutions should have.

    `convolutions`: how many have each layout. `fallbacks`: those that have another than was asked for.
    `transpositions`: those of values that flow, each with its neighbours. Empty where it has no convolution.
    """
    relax = importlib.import_module("tvm.relax")
    layouts: Counter[str] = Counter()
    fallbacks: list[str] = []
    transpositions: list[str] = []
    for _, function in module.functions_items():
        if not isinstance(function, relax.Function):
            continue
        values, calls = bound_values(function), calls_in(function)
        for call in calls:
            if operator_of(call) in _CONVOLUTIONS:
                layout = str(call.attrs.data_layout)
                layouts[layout] += 1
                if asked is not None and layout != asked:
                    fallbacks.append(f"{_described(call)} stays in {layout}")
        transpositions += _transpositions(calls, values, _Constants(calls, values))
    if not layouts:
        return {}
    return {"convolutions": dict(sorted(layouts.items())), "fallbacks": fallbacks, "transpositions": transpositions}


class _Constants:
    """Which values of a function are made of constants alone, or are none that flow, as a shape is none."""

    def __init__(self, calls: list[Any], values: Mapping[Any, Any]) -> None:
        """calls: operands first, so that each is looked at once, and from near by."""
        self._relax, self._stored = importlib.import_module("tvm.relax"), importlib.import_module("tvm.ir").GenericConst
        self._values, self._known = values, dict[Any, bool]()
        for call in calls:
            self.hold(call)

    def hold(self, value: Any) -> bool:
        """Whether a value is among them."""
        made = self._values.get(value, value)
        found = self._known.get(made)
        if found is None:
            found = self._known[made] = self._is_made_of_them(made)
        return found

    def _is_made_of_them(self, made: Any) -> bool:
        if isinstance(made, self._stored):
            return True
        if isinstance(made, self._relax.Call):
            return bool(operator_of(made)) and all(map(self.hold, made.args))
        if isinstance(made, self._relax.Tuple):
            return all(map(self.hold, made.fields))
        if isinstance(made, self._relax.TupleGetItem):
            return self.hold(made.tuple_value)
        return not isinstance(made, self._relax.Var)


def _transpositions(calls: list[Any], values: Mapping[Any, Any], constants: _Constants) -> list[str]:
    wanted: dict[Any, str] = {}
    names = {value: variable for variable, value in values.items()}
    for call in calls:
        for operand in call.args:
            wanted.setdefault(operand, operator_of(call))
    found = []
    for call in calls:
        if operator_of(call) != _TRANSPOSITION or constants.hold(call.args[0]):
            continue
        axes = tuple(int(axis) for axis in call.attrs.axes or ())
        if axes in _TURNS:
            source = _source(call.args[0], values, constants) or "the input"
            user = wanted.get(names.get(call), "") or "an output"
            found.append(f"transposition between {_short(source)} and {_short(user)}")
    return found


def _source(value: Any, values: Mapping[Any, Any], constants: _Constants) -> str:
    """The operator that a value is of; empty where it is the network's input, which may have been dequantised."""
    first = made = _maker(value, values)
    while operator_of(made) in _BY_NUMBER:
        others = [each for each in made.args if not constants.hold(each)]
        if len(others) != 1:
            break
        made = _maker(others[0], values)
    return operator_of(first) if operator_of(made) else ""


def _maker(value: Any, values: Mapping[Any, Any]) -> Any:
    """What a value is bound to; of a part of several values what makes them all."""
    made: Any = values.get(value)
    return values.get(made.tuple_value) if hasattr(made, "tuple_value") else made


def _short(name: str) -> str:
    return name.removeprefix("relax.").removeprefix("nn.")


def _described(call: Any) -> str:
    """A convolution by what tells it from others: `conv2d 3x3, 64 to 128 channels, 2 groups`."""
    kernel = dict(zip(str(call.attrs.kernel_layout), (int(size) for size in call.args[1].ty.shape), strict=True))
    groups = int(call.attrs.groups)
    inward, outward = kernel["I"] * groups, kernel["O"]
    if operator_of(call) == _CONVOLUTIONS[1]:
        inward, outward = kernel["I"], kernel["O"] * groups
    of_groups = f", {groups} groups" if groups > 1 else ""
    return f"{_short(operator_of(call))} {kernel['H']}x{kernel['W']}, {inward} to {outward} channels{of_groups}"
