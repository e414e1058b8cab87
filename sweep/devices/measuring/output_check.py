"""Compares outputs with the expected output: a wrong answer is a failure, however fast it came."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sweep.analysis.formatting import plural
from sweep.errors import OutputMismatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Allowance", "OutputCheck", "OutputFacts", "check_outputs"]

_FLOOR = 1e-3
"""Of the tolerance: what a value that should be near 0 may be off, since larger ones cancel out inside a network."""
_ULPS = 10
"""Units in the last place that a float may be off where its type has no more digits than the tolerance asks for."""
_STEPS = 1
"""That a quantised output may be off: a value between two steps is rounded either way."""

_FEW, _FEW_STEPS = 0.01, 4
"""Share of the values that may be off by more steps, and by how many: what was rounded the other way deep inside a
network can come to two steps in its output.
"""

_SMALL, _LARGE = 1e-100, 1e100
"""Between these a largest value may be squared, and squares be added, with no overflow of a double to infinity and no
underflow to 0."""


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """The distance of outputs from the expected output; of several outputs, the worst value of each figure."""

    max_abs_diff: float
    cosine_distance: float
    """1 - cos of the angle between the flattened tensors; 0 is agreement, also of two zero tensors."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a float output may be off beside its tolerance, since something before it is quantised."""

    step: float = 0.0
    """Of the integers that it was made of, in its own numbers: one of them is no error."""
    tolerance: float = 0.0
    """In place of a smaller one: something rounds where the expected output is not rounded, or the other way."""


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """What is known of a network's outputs beside the expected values."""

    names: Sequence[str] = ()
    quantised: frozenset[int] = field(default_factory=frozenset)
    """Indices of those that are integers by quantisation: one step of them is no error."""
    computed_in: str | None = None
    """The number type that the code was converted to, in which floats may be; None: they have their own type."""
    allowances: Mapping[int, Allowance] = field(default_factory=dict)
    """Of some, by index."""

    def title(self, index: int) -> str:
        """`output 1`, with its name where that is known."""
        name = self.names[index] if index < len(self.names) else ""
        return f"output {index} {name!r}" if name else f"output {index}"


def check_outputs(
    outputs: Sequence[NDArray[Any]],
    expected: Sequence[NDArray[Any]],
    threshold: float | None,
    facts: OutputFacts | None = None,
) -> OutputCheck:
    """Compare each output with the expected one: shape, number type and values.

    NaN agrees with NaN, and an infinity with the same one. Integers and booleans must be equal, quantised ones may be
    off by a step, and so may floats that are made of such. Floats agree where no value is off by more than `threshold`
    times the largest one expected, nor all together by more than `threshold` times their length as a vector; a
    thousandth of `threshold` is allowed in any case, and ten units in the last place of the output's own type; where a
    step is, four of it are in one value of a hundred. Where `threshold` is None values may differ, as those of a
    quantised network do, and how far they do is the answer.
    Raises OutputMismatch, which has the reason of each output that is wrong.
    """
    facts = facts or OutputFacts()
    if len(outputs) != len(expected):
        raise OutputMismatch(f"{plural(len(outputs), 'output')} where expected are {len(expected)}")
    checks, problems = [], []
    for index, (output, wanted) in enumerate(zip(outputs, expected, strict=True)):
        problem = _shape_problem(output, wanted, facts)
        check = None
        if problem is None:
            steps = _STEPS if index in facts.quantised else 0
            check, problem = _compared(output, wanted, threshold, facts.allowances.get(index, Allowance()), steps=steps)
        if problem is not None:
            problems.append(f"{facts.title(index)}: {problem}")
        elif check is not None:
            checks.append(check)
    if problems:
        raise OutputMismatch("; ".join(problems))
    return OutputCheck(
        max_abs_diff=max((check.max_abs_diff for check in checks), default=0.0),
        cosine_distance=max((check.cosine_distance for check in checks), default=0.0),
    )


def _shape_problem(output: NDArray[Any], expected: NDArray[Any], facts: OutputFacts) -> str | None:
    if output.shape != expected.shape:
        return f"shape {output.shape}, expected is {expected.shape}"
    if output.dtype == expected.dtype or (_is_float(expected) and str(output.dtype) == facts.computed_in):
        return None
    return f"number type {output.dtype}, expected is {expected.dtype}"


def _compared(
    output: NDArray[Any], expected: NDArray[Any], threshold: float | None, allowed: Allowance, *, steps: int
) -> tuple[OutputCheck, str | None]:
    """Of two arrays of one shape, and one kind of numbers: their distance, and what is wrong."""
    import numpy as np

    if not _is_float(expected):
        return _compared_exactly(output, expected, threshold, steps=steps)
    actual, wanted = (tensor.astype(np.float64).ravel() for tensor in (output, expected))
    same = (actual == wanted) | (np.isnan(actual) & np.isnan(wanted))
    unlike = ~same & ~(np.isfinite(actual) & np.isfinite(wanted))
    if unlike.any():
        where = int(np.argmax(unlike))
        count = f"{np.count_nonzero(unlike)} of {actual.size} values are NaN or inf on one side alone"
        return OutputCheck(math.inf, 1.0), f"{count}, the first {actual[where]:g}, expected is {wanted[where]:g}"
    finite = np.isfinite(wanted)
    actual, wanted = actual[finite], wanted[finite]
    if actual.size == 0:
        return OutputCheck(0.0, 0.0), None
    with np.errstate(over="ignore"):  # of two doubles of opposite signs, at the ends of what a double holds: infinite
        difference = actual - wanted
    max_abs_diff = float(np.abs(difference).max())
    check = OutputCheck(max_abs_diff, _cosine_distance(actual, wanted))
    if threshold is None:
        return check, None
    tolerance = max(threshold, allowed.tolerance, _ULPS * max(_epsilon(output), _epsilon(expected)))
    bound = tolerance * (float(np.abs(wanted).max()) + _FLOOR)
    if allowed.step:
        off = np.abs(difference)
        difference = np.maximum(off - allowed.step, 0.0)
        are_few = np.count_nonzero(difference > bound) <= _FEW * off.size
        if are_few and float(off.max()) <= _FEW_STEPS * allowed.step + bound:
            difference = np.where(difference > bound, 0.0, difference)
    scale = max(1.0, _scale(wanted), _scale(difference))
    length, apart = (float(np.linalg.norm(values / scale)) for values in (wanted, difference))
    if float(np.abs(difference).max()) <= bound and apart <= tolerance * (
        length + _FLOOR * math.sqrt(actual.size) / scale
    ):
        return check, None
    relative, most = apart / length if length else math.inf, bound + allowed.step
    return check, (
        f"max absolute difference {max_abs_diff:.3g} (allowed {most:.3g}), relative distance {relative:.3g} (allowed "
        f"{tolerance:.3g}), cosine distance {check.cosine_distance:.3g}"
    )


def _compared_exactly(
    output: NDArray[Any], expected: NDArray[Any], threshold: float | None, *, steps: int
) -> tuple[OutputCheck, str | None]:
    import numpy as np

    # As unsigned numbers of 64 bits differences of any integers are exact, those of doubles from 2^53 on are not
    one, other = (
        tensor.ravel().astype(np.uint64 if expected.dtype.kind == "u" else np.int64) for tensor in (output, expected)
    )
    larger, smaller = np.maximum(one, other).astype(np.uint64), np.minimum(one, other).astype(np.uint64)
    apart = larger - smaller
    most = int(apart.max()) if apart.size else 0
    values = (tensor.astype(np.float64).ravel() for tensor in (output, expected))
    check = OutputCheck(float(most), _cosine_distance(*values))
    count = np.count_nonzero(apart > steps)
    if threshold is None or not count or (steps and most <= _FEW_STEPS and count <= _FEW * apart.size):
        return check, None
    allowed = f"at most {steps} is allowed" if steps else "these must be equal"
    return check, f"{count} of {apart.size} values of {expected.dtype} differ, by {most} at most, and {allowed}"


def _is_float(tensor: NDArray[Any]) -> bool:
    """Also the floats that numpy itself does not know, such as bfloat16."""
    return tensor.dtype.kind not in "biu"


def _epsilon(tensor: NDArray[Any]) -> float:
    """From 1 to the next number of its type."""
    import ml_dtypes

    return float(ml_dtypes.finfo(tensor.dtype).eps)


def _cosine_distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    import numpy as np

    one, other = (values / _scale(values) for values in (one, other))
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    if lengths == 0.0:
        return 0.0 if not one.any() and not other.any() else 1.0
    return max(0.0, 1.0 - float(np.dot(one, other)) / lengths)


def _scale(values: NDArray[Any]) -> float:
    """What to divide by, for squares and their sum to be numbers that a double holds.

    It is 1 for ordinary values: their figures are what they have been, to the last bit.
    """
    import numpy as np

    most = min(float(np.abs(values).max()), sys.float_info.max) if values.size else 0.0
    if most == 0.0 or _SMALL < most < _LARGE:
        return 1.0
    return math.ldexp(1.0, math.frexp(most)[1] - 1)
