"""A rewritten network against the one of the file: both are run on the same inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sweep.errors import ImportFailed, in_one_line
from sweep.toolchain.models.expected_output import make_inputs, run_onnxruntime, run_reference_evaluator
from sweep.toolchain.models.loader import TensorType
from sweep.toolchain.models.onnx_types import computes_in_halves

__all__ = ["Comparison", "compared", "original_outputs"]

_Array = npt.NDArray[Any]

_INPUTS = 3
_OF_INTEGERS = frozenset(
    "ConvInteger DynamicQuantizeLSTM DynamicQuantizeMatMul MatMulInteger MatMulIntegerToFloat QAttention QGemm "
    "QLinearConv QLinearMatMul".split()
)
"""Operators that multiply integers of 8 bits."""
_TOLERANCES = {2: 2e-2, 4: 1e-3, 8: 1e-5}
"""By the size of a float in bytes, relative to the largest value expected."""
_ROUNDING = 2e-2
"""The same behind operators that round by themselves: one step of theirs may be away."""
_FLOOR = 1e-3
"""Of that largest value, as at the gate: what should be near 0 may be off, since larger values cancel out inside."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it."""

    inputs: int
    """How many random inputs both were run on."""
    max_abs_diff: float | None = None
    not_compared: str | None = None
    """Why they were not."""


def original_outputs(model: Any, feeds: Mapping[str, _Array], file: Path | None = None) -> list[_Array]:
    """ONNX Runtime's; where it cannot run a network, those of the onnx package's evaluator.

    file: that has the network, where there is one. Raises what ONNX Runtime raises where neither can.
    """
    multiplies_integers = any(node.op_type in _OF_INTEGERS for node in model.graph.node)
    try:
        return run_onnxruntime(file or model.SerializeToString(), feeds, multiplies_integers=multiplies_integers)
    except Exception:
        try:
            return run_reference_evaluator(model, feeds)
        except Exception:  # noqa: BLE001
            pass
        raise


def compared(original: Any, rewritten: Any, inputs: Sequence[TensorType], seed: int) -> Comparison:
    """Run both on random inputs. Raises ImportFailed where an output differs in value, shape or type.

    rewritten: its shapes are inferred; else floats of 16 bits inside do not show.
    """
    largest, is_rounding = 0.0, any(map(_is_quantised, original.graph.node))
    # A step is a part of its range, however small the values in it are
    floor = 1.0 if is_rounding or any("Quantize" in node.op_type for node in original.graph.node) else _FLOOR
    coarse = _ROUNDING if is_rounding else _TOLERANCES[2] if computes_in_halves(rewritten) else 0.0
    names = [output.name for output in original.graph.output]
    for number in range(_INPUTS):
        feeds = make_inputs(inputs, seed + number)
        try:
            expected = original_outputs(original, feeds)
        except Exception as error:  # noqa: BLE001  (nothing to compare with; the row says that it has no reference)
            return Comparison(number, None, f"the network of the file does not run: {in_one_line(error)}")
        try:
            found = original_outputs(rewritten, feeds)
        except Exception as error:  # noqa: BLE001  (the compiled code is still compared with the file's)
            return Comparison(number, None, f"the rewritten network does not run: {in_one_line(error)}")
        for name, one, other in zip(names, found, expected, strict=True):
            largest = max(largest, _difference(name, one, other, is_rounding, floor, coarse))
    return Comparison(_INPUTS, largest)


def _is_quantised(node: Any) -> bool:
    """Whether it rounds by itself, so that an integer of one byte may be one step away."""
    return str(node.op_type).startswith(("QLinear", "QGemm", "DynamicQuantize"))


def _difference(name: str, found: _Array, expected: _Array, is_rounding: bool, floor: float, coarse: float) -> float:
    """coarse: the tolerance of floats, where it is more than their type says."""
    where = f"the rewritten network is another one than that of the file: output {name}"
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        kinds = (f"{array.dtype} {list(array.shape)}" for array in (found, expected))
        raise ImportFailed(f"{where} is {' instead of '.join(kinds)}")
    if found.size == 0 or found.dtype.kind in "OUSV":
        return 0.0
    wide = np.complex128 if found.dtype.kind == "c" else np.float64
    one, other = found.astype(wide), expected.astype(wide)
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    finite = np.isfinite(other)
    with np.errstate(invalid="ignore"):
        apart = np.where(same, 0.0, np.abs(one - other))
    if expected.dtype.kind in "iub":
        near = apart <= int(is_rounding and expected.dtype.itemsize == 1 and expected.dtype.kind != "b")
    else:
        scale = max(floor, float(np.abs(other[finite]).max(initial=0.0)))
        tolerance = max(coarse, _TOLERANCES.get(expected.dtype.itemsize, 1e-3))
        near = finite & (apart <= tolerance * scale)
    if not (same | near).all():
        worst = float(np.nanmax(apart)) if np.isfinite(apart).any() else float("inf")
        raise ImportFailed(
            f"{where} differs by up to {worst:.3g} in {int((~(same | near)).sum())} of {found.size} values"
        )
    return float(apart[finite].max()) if finite.any() else 0.0
