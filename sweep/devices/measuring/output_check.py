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
    outputs: Sequence[NDArray[Any]], reference: Sequence[NDArray[Any]], threshold: float | None
) -> OutputCheck:
    """Compare each output with the reference, in float64.

    An output agrees when its cosine distance is at most `threshold` and its largest absolute difference at most
    `threshold` times max(1, largest absolute value of the reference). Where `threshold` is None, the output may differ,
    as that of a quantised network does, and how far it does is the answer. Another shape never agrees, nor does NaN or
    infinity, on either side: of these there is no distance.
    Raises OutputMismatch with both figures.
    """
    if len(outputs) != len(reference):
        raise OutputMismatch(f"{len(outputs)} outputs where the reference has {len(reference)}")
    found = [_check(index, *pair, threshold) for index, pair in enumerate(zip(outputs, reference, strict=True))]
    return OutputCheck(
        max_abs_diff=max((one.max_abs_diff for one in found), default=0.0),
        cosine_distance=max((one.cosine_distance for one in found), default=0.0),
    )


def _check(index: int, output: NDArray[Any], reference: NDArray[Any], threshold: float | None) -> OutputCheck:
    import numpy as np

    if output.shape != reference.shape:
        raise OutputMismatch(f"output {index} has shape {output.shape}, the reference {reference.shape}")
    actual, expected = (tensor.astype(np.float64).ravel() for tensor in (output, reference))
    for name, tensor in ((f"output {index}", actual), (f"reference {index}", expected)):
        if not np.isfinite(tensor).all():
            raise OutputMismatch(f"{name} has {np.count_nonzero(~np.isfinite(tensor))} values that are NaN or inf")
    if actual.size == 0:
        return OutputCheck(0.0, 0.0)
    max_abs_diff = float(np.abs(actual - expected).max())
    cosine_distance = _cosine_distance(actual, expected)
    if threshold is None:
        return OutputCheck(max_abs_diff, cosine_distance)
    bound = threshold * max(1.0, float(np.abs(expected).max()))
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
