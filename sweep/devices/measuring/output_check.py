"""Compares outputs with the expected output: a wrong answer is a failure, however fast it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.errors import OutputMismatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["OutputCheck", "check_outputs"]


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """The distance of outputs from the expected output; of several outputs, the worst value of each figure."""

    max_abs_diff: float
    cosine_distance: float
    """1 - cos of the angle between the flattened tensors; 0 is agreement, also of two zero tensors."""


def check_outputs(
    outputs: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]], threshold: float | None
) -> OutputCheck:
    """Compare each output with the expected one, in float64.

    An output agrees when its cosine distance is at most `threshold` and its largest absolute difference at most
    `threshold` times max(1, largest absolute value expected). Where `threshold` is None, the output may differ,
    as that of a quantised network does, and how far it does is the answer. Another shape never agrees, nor does NaN or
    infinity, on either side: of these there is no distance.
    Raises OutputMismatch with both figures.
    """
    if len(outputs) != len(expected):
        raise OutputMismatch(f"{len(outputs)} outputs where expected are {len(expected)}")
    checks = [_check(index, *pair, threshold) for index, pair in enumerate(zip(outputs, expected, strict=True))]
    return OutputCheck(
        max_abs_diff=max((check.max_abs_diff for check in checks), default=0.0),
        cosine_distance=max((check.cosine_distance for check in checks), default=0.0),
    )


def _check(index: int, output: NDArray[Any], expected: NDArray[Any], threshold: float | None) -> OutputCheck:
    import numpy as np

    if output.shape != expected.shape:
        raise OutputMismatch(f"output {index} has shape {output.shape}, expected is {expected.shape}")
    actual, wanted = (tensor.astype(np.float64).ravel() for tensor in (output, expected))
    for name, tensor in ((f"output {index}", actual), (f"expected output {index}", wanted)):
        if not np.isfinite(tensor).all():
            raise OutputMismatch(f"{name} has {np.count_nonzero(~np.isfinite(tensor))} values that are NaN or inf")
    if actual.size == 0:
        return OutputCheck(0.0, 0.0)
    max_abs_diff = float(np.abs(actual - wanted).max())
    cosine_distance = _cosine_distance(actual, wanted)
    if threshold is None:
        return OutputCheck(max_abs_diff, cosine_distance)
    bound = threshold * max(1.0, float(np.abs(wanted).max()))
    if max_abs_diff > bound or cosine_distance > threshold:
        raise OutputMismatch(
            f"output {index}: max absolute difference {max_abs_diff:.3g} (allowed {bound:.3g}), "
            f"cosine distance {cosine_distance:.3g} (allowed {threshold:.3g})"
        )
    return OutputCheck(max_abs_diff, cosine_distance)


def _cosine_distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    import numpy as np

    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    if lengths == 0.0:
        return 0.0 if not one.any() and not other.any() else 1.0
    return max(0.0, 1.0 - float(np.dot(one, other)) / lengths)
