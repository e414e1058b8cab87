"""Which classes the outputs of a network rank first, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sweep.analysis.classification import ranked_classes
from sweep.errors import MeasureFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ClassAnswers", "class_scores"]


def class_scores(outputs: Sequence[Any], samples: int) -> NDArray[Any]:
    """[samples, classes]: the first output that has a number for each class of each sample.

    A network of one sample may leave out the batch; one of two classes may have one score; one that answers with whole
    numbers alone, one a sample, answers with the classes themselves. Raises MeasureFailed where there is none.
    """
    import numpy as np

    arrays = [np.asarray(output) for output in outputs]
    for array in arrays:
        values = array.astype("float32") if array.dtype.name == "bfloat16" else array
        if samples == 1 and values.ndim == 1 and values.size > 1:
            values = values[None]
        if values.dtype.kind not in "fiu" or values.ndim == 0 or values.shape[0] != samples:
            continue
        sizes = [size for size in values.shape[1:] if size != 1]
        if len(sizes) == 1 or (not sizes and values.dtype.kind == "f"):
            return values.reshape(samples, -1)
    for array in arrays:
        if array.dtype.kind in "iu" and array.size == samples and array.min(initial=0) >= 0:
            one_each: NDArray[Any] = np.eye(int(array.max()) + 1)[array.reshape(-1)]
            return one_each
    shown = ", ".join(f"{array.dtype} {list(array.shape)}" for array in arrays)
    raise MeasureFailed(f"no output ranks classes: {shown} for {samples} samples; evaluate takes classifiers")


class ClassAnswers:
    """Collects the classes that batches of samples were given."""

    def __init__(self) -> None:
        self.ranked: list[list[int]] = []
        """For each sample the classes that come first, the best one first."""
        self.classes = 0
        """How many the network tells apart."""

    def add(self, outputs: Sequence[Any], size: int, count: int) -> None:
        """Of a batch of that size, of which the first `count` are samples. Raises as `class_scores`."""
        scores = class_scores(outputs, size)
        self.classes = max(self.classes, scores.shape[1], 2)
        self.ranked += ranked_classes(scores)[:count].tolist()
