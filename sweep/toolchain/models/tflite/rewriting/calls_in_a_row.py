"""A TFLite network without state against the one of the file: LiteRT runs both, one call after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import ImportFailed, in_one_line
from sweep.toolchain.models.expected_output import make_inputs
from sweep.toolchain.models.loader import TensorType
from sweep.toolchain.models.tflite.litert_answer import litert_calls, litert_outputs

__all__ = ["compared"]

_Array = npt.NDArray[Any]

_CALLS = 3
_TOLERANCE = 1e-5
"""Of floats, relative to the largest value: both are the same kernels on the same numbers."""


def compared(
    original: Path, rewritten: Path, inputs: Sequence[TensorType], states: int, seed: int
) -> dict[str, int | float | str | None]:
    """How many calls were compared and how far outputs are apart; or why none were. Raises ImportFailed where both
    differ.

    inputs: those of the rewritten network, whose last ones are the states, with what they hold at the first call.
    """
    own = inputs[: len(inputs) - states]
    calls = [make_inputs(own, seed + number) for number in range(_CALLS)]
    held: Mapping[str, _Array] = make_inputs(inputs[len(own) :], seed)
    try:
        expected = litert_calls(original, calls)
        found = list(_handing_on(rewritten, calls, held))
    except ImportFailed as error:
        return {"inputs": 0, "max_abs_diff": None, "not_compared": in_one_line(error)}
    furthest = 0.0
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        furthest = max([furthest, *(_difference(*pair, number) for pair in zip(one, other, strict=False))])
    return {"inputs": _CALLS, "max_abs_diff": furthest, "not_compared": None}


def _handing_on(
    rewritten: Path, calls: Sequence[Mapping[str, _Array]], held: Mapping[str, _Array]
) -> Iterator[list[_Array]]:
    """The outputs of each call, of which the last ones are what the next is given as the states."""
    for feeds in calls:
        outputs = litert_outputs(rewritten, {**feeds, **held})
        held = dict(zip(held, outputs[len(outputs) - len(held) :], strict=True))
        yield outputs


def _difference(found: _Array, expected: _Array, number: int) -> float:
    where = f"the network without its state is another one than that of the file: at call {number + 1} an output"
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        raise ImportFailed(f"{where} is {found.dtype} {list(found.shape)}")
    if not found.size:
        return 0.0
    apart = float(np.abs(found.astype("float64") - expected.astype("float64")).max())
    scale = max(1.0, float(np.abs(expected.astype("float64")).max())) if expected.dtype.kind == "f" else 0.0
    if not apart <= _TOLERANCE * scale:
        raise ImportFailed(f"{where} differs by {apart:.3g}")
    return apart
