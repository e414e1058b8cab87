"""Which classes the outputs of a network rank first, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.analysis.classification import ranked_classes
from sweep.errors import MeasureFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ClassAnswers", "ranking_of"]

_MOST = (1 << 31) - 2
"""Classes are kept as numbers of 32 bits."""


def ranking_of(outputs: Sequence[Any], samples: int) -> tuple[NDArray[Any], int]:
    """[samples, k]: the classes that outputs rank first, the best one first; and how many classes they tell apart.

    A network that answers with whole numbers alone, one a sample, answers with the classes themselves: with one for
    each sample, as many as the largest says. Raises MeasureFailed where no output ranks classes.
    """
    import numpy as np

    arrays = [np.asarray(output) for output in outputs]
    scores = _scores(arrays, samples)
    if scores is not None:
        return ranked_classes(scores), max(scores.shape[1], 2)
    for array in arrays:
        if array.dtype.kind in "iu" and array.size == samples and _MOST >= array.max() >= array.min() >= 0:
            return array.reshape(samples, 1).astype("int64"), max(int(array.max()) + 1, 2)
    shown = ", ".join(f"{array.dtype} {list(array.shape)}" for array in arrays)
    raise MeasureFailed(f"no output ranks classes: {shown} for {samples} samples; evaluate takes classifiers")


def _scores(arrays: Sequence[NDArray[Any]], samples: int) -> NDArray[Any] | None:
    """[samples, classes]: the first output that has a number for each class of each sample.

    A network of one sample may leave out the batch; one of two classes may have one score.
    """
    for array in arrays:
        values = array.astype("float32") if array.dtype.name == "bfloat16" else array
        if samples == 1 and values.ndim == 1 and values.size > 1:
            values = values[None]
        if values.dtype.kind not in "fiu" or values.ndim == 0 or values.shape[0] != samples:
            continue
        sizes = [size for size in values.shape[1:] if size != 1]
        if len(sizes) == 1 or (not sizes and values.dtype.kind == "f"):
            return values.reshape(samples, -1)
    return None


class ClassAnswers:
    """Collects the classes that batches of samples were given."""

    def __init__(self) -> None:
        self.ranked: list[list[int]] = []
        """For each sample the classes that come first, the best one first."""
        self.classes = 0
        """How many the network tells apart."""

    def add(self, outputs: Sequence[Any], size: int, count: int) -> None:
        """Of a batch of that size, of which the first `count` are samples. Raises as `ranking_of`."""
        ranked, classes = ranking_of(outputs, size)
        self.classes = max(self.classes, classes)
        self.ranked += ranked[:count].tolist()
