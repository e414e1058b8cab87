"""A TFLite network without state against the one of the file: LiteRT runs both, one call after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import ImportFailed, in_one_line
from sweep.toolchain.models.expected_output import make_inputs
from sweep.toolchain.models.loader import TensorType
from sweep.toolchain.models.tflite.litert_answer import litert_outputs

__all__ = ["compared"]

_Array = npt.NDArray[Any]

_CALLS = 3
_TOLERANCE = 1e-5
"""Of floats, relative to the largest value: both are the same kernels on the same numbers."""


def compared(
    original: Path, rewritten: Path, inputs: Sequence[TensorType], states: int, seed: int
) -> dict[str, int | float | str | None]:
    """How many calls were made and how far outputs are apart; or why none were. Raises ImportFailed where both differ.

    inputs: those of the rewritten network, whose last ones are the states, with what they hold at the first call.
    """
    own = inputs[: len(inputs) - states]
    calls = [make_inputs(own, seed + number) for number in range(_CALLS)]
    held: Mapping[str, _Array] = make_inputs(inputs[len(own) :], seed)
    furthest = 0.0
    for number in range(_CALLS):
        try:
            expected = litert_outputs(original, *calls[: number + 1])
            found = litert_outputs(rewritten, {**calls[number], **held})
        except ImportFailed as error:
            return {"inputs": number, "max_abs_diff": None, "not_compared": in_one_line(error)}
        for one, other in zip(found, expected, strict=False):
            furthest = max(furthest, _difference(one, other, number))
        held = dict(zip(held, found[len(expected) :], strict=True))
    return {"inputs": _CALLS, "max_abs_diff": furthest, "not_compared": None}


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
