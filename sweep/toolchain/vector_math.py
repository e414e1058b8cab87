"""Has exp, tanh and erf of float32 computed in vectors, to the accuracy of the C library.

TVM calls the C library for each number: 4.1 ns for an exp, 10.8 for a tanh, 14.7 for an erf, whatever the loop around
it (AVX2). What is registered here is arithmetic alone, so it becomes vectors with the loop that it stands in, at every
opt level, and candidates are timed with it. The polynomials were fitted for this (equal ripple, by Lawson's
iteration), for an error of at most two units in the last place. Other number types keep TVM's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from tvm import tirx
from tvm.ir import Op

__all__ = ["register_vector_math"]

_RULES = tuple(f"{target}.{kind}" for target in ("llvm", "default") for kind in ("FLowerIntrinsic", "FLegalize"))
"""Where TVM looks for what takes the place of a call, in its order."""
_FIRST = 11
"""A level above that of TVM's own."""
_EXP = (0.5000000101, 0.1666651289, 0.0416661873, 0.0083695984, 0.0013951717)
"""(exp(r) - 1 - r) / r**2 for |r| up to half of log(2), ascending."""
_EXP_RANGE = (-104.0, 89.0)
"""Below it is zero, above it infinite."""
_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.693359375, -2.12194440054690583e-4
"""The high part has so few bits that its products with small integers are exact."""
_ROUNDER = 12582912.0
"""1.5 * 2**23: what is added to it is rounded to an integer, which is in the lowest bits of the sum."""
_ROUNDER_BITS = 0x4B400000
_BIAS, _MANTISSA = 127, 23
_TANH = (-0.3333331805, 0.1333260167, -0.0538538566, 0.0210777534, -0.0062824667)
"""(tanh(x) / x - 1) / x**2 by x**2, for |x| up to `_TANH_SMALL`."""
_TANH_SMALL = 0.55
_ERF = (0.1283791657, -0.3761262582, 0.1128358515, -0.0268538119, 0.0051883276, -0.00080101925, 0.000078538577)
"""erf(x) / x - 1 by x**2, for |x| up to 1."""
_LOG_ERFC = (-0.00031245974, -1.1272023191, -0.6379649267, -0.1032562670, 0.0219065080, -0.0029640143, 0.00018797255)
"""log(1 - erf(x)) for x from 1 to `_ERF_LARGE`, where erf is 1."""
_ERF_LARGE = 4.0


@cache
def register_vector_math() -> Mapping[str, Any]:
    """For CPUs, once a process. Gives TVM's own rules, by the name of their operator."""
    replaced = {}
    for name, rule in (("tirx.exp", _exp), ("tirx.tanh", _tanh), ("tirx.erf", _erf)):
        operator = Op.get(name)
        replaced[name] = next(found for key in _RULES if (found := operator.get_attr(key)) is not None)
        tirx.register_intrin_lowering(name, "llvm", f=partial(_lowered, rule, replaced[name]), level=_FIRST)
    return replaced


def _lowered(rule: Callable[[Any], Any], before: Callable[[Any], Any], call: Any) -> Any:
    return rule(call.args[0]) if _dtype(call).partition("x")[0] == "float32" else before(call)


def _exp(value: Any) -> Any:
    """exp(x) = 2**n * exp(r), where n is the integer next to x / log(2), in two factors: 2**n may be no number."""
    low, high = (_same(bound, value) for bound in _EXP_RANGE)
    rounder, values = _same(_ROUNDER, value), _Named()
    x = values.named(tirx.max(low, tirx.min(high, value)))  # of the second, in this order, where it is no number
    rounded = values.named(x * _same(_LOG2_E, x) + rounder)
    n = values.named(tirx.reinterpret(_type(x, "int32"), rounded) - _same(_ROUNDER_BITS, x, "int32"))
    whole = values.named(rounded - rounder)
    r = values.named(x - whole * _same(_LN2_HIGH, x) - whole * _same(_LN2_LOW, x))
    half = values.named(n >> _same(1, x, "int32"))
    rest = r * r * _polynomial(_EXP, r) + r + _same(1.0, x)
    return values.around(rest * _power_of_two(half) * _power_of_two(n - half))


def _tanh(value: Any) -> Any:
    values, one = _Named(), _same(1.0, value)
    x = values.named(value)
    square = values.named(x * x)
    power = values.named(_exp(_same(-2.0, x) * tirx.abs(x)))
    small = x * (square * _polynomial(_TANH, square) + one)  # which keeps the sign of zero
    large = _signed((one - power) / (one + power), x)
    return values.around(tirx.Select(_is_small(x, _TANH_SMALL), small, large))


def _erf(value: Any) -> Any:
    values = _Named()
    x = values.named(value)
    square = values.named(x * x)
    size = values.named(tirx.min(_same(_ERF_LARGE, x), tirx.abs(x)))
    small = x * _polynomial(_ERF, square) + x
    large = _signed(_same(1.0, x) - _exp(_polynomial(_LOG_ERFC, size)), x)
    return values.around(tirx.Select(_is_small(x, 1.0), small, large))


class _Named:
    """Values that are used several times, by name: code generation would compute each as often."""

    def __init__(self) -> None:
        self._bound: list[tuple[Any, Any]] = []

    def named(self, value: Any) -> Any:
        """A variable that stands for a value."""
        variable = tirx.Var("value", _dtype(value))
        self._bound.append((variable, value))
        return variable

    def around(self, result: Any) -> Any:
        """A result that uses such variables, with their values."""
        for variable, value in reversed(self._bound):
            result = tirx.Let(variable, value, result)
        return result


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """By Horner's rule, so that each step is one multiply-add."""
    total = _same(coefficients[-1], x)
    for coefficient in coefficients[-2::-1]:
        total = total * x + _same(coefficient, x)
    return total


def _power_of_two(exponent: Any) -> Any:
    bits = (exponent + _same(_BIAS, exponent, "int32")) << _same(_MANTISSA, exponent, "int32")
    return tirx.reinterpret(_type(exponent, "float32"), bits)


def _signed(size: Any, x: Any) -> Any:
    return tirx.Select(x < _same(0.0, x), -size, size)


def _is_small(x: Any, bound: float) -> Any:
    return tirx.abs(x) < _same(bound, x)


def _type(x: Any, dtype: str) -> str:
    """A number type with the lanes of a value."""
    _, times, lanes = _dtype(x).partition("x")
    return f"{dtype}{times}{lanes}"


def _same(number: float, x: Any, dtype: str = "float32") -> Any:
    """A constant in all lanes of a value."""
    constant = tirx.const(number, dtype)
    lanes = _dtype(x).partition("x")[2]
    return tirx.Broadcast(constant, int(lanes)) if lanes else constant


def _dtype(value: Any) -> str:
    return str(value.ty.dtype)
