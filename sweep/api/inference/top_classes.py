"""The classes that an output ranks first, with their labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import StudyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RankedClass", "read_labels", "require_a_label_each", "top_classes"]

_MOST_BYTES = 16 * 2**20
_FEWEST_CLASSES = 2


@dataclass(frozen=True, slots=True)
class RankedClass:
    """One class."""

    index: int
    label: str
    """Empty where nobody gave labels."""
    value: float
    """Of the output: a probability, or a logit."""

    def as_text(self) -> str:
        """`0.8731  285 Egyptian cat`."""
        return f"{self.value:.4g}  {self.index} {self.label}".rstrip()


def read_labels(path: Path) -> list[str]:
    """One a line. Raises StudyError."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise StudyError("is too large", key="--labels", value=str(path), allowed="a text file, a label a line")
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except OSError as error:
        raise StudyError(f"cannot be read: {error.strerror}", key="--labels", value=str(path)) from None
    except UnicodeDecodeError:
        raise StudyError("is no text", key="--labels", value=str(path), allowed="UTF-8, a label a line") from None


def require_a_label_each(labels: Sequence[str], shape: Sequence[int], dtype: str) -> None:
    """Hold labels against an output. Raises StudyError where it ranks no classes, or another number of them."""
    if not _ranks_classes(shape, dtype):
        problem = f"is given to an output that ranks no classes: {dtype} {list(shape)}"
        raise StudyError(problem, key="--labels", value=len(labels), allowed="an output of one number for each class")
    if len(labels) != (classes := max(shape)):
        allowed = f"{classes}, one for each class of the output"
        raise StudyError("has another number of labels", key="--labels", value=len(labels), allowed=allowed)


def top_classes(output: NDArray[Any], labels: Sequence[str] = (), most: int = 5) -> list[RankedClass]:
    """The first classes of an output of one sample; empty where it does not rank classes: a number alone, or a picture.

    Raises StudyError where there are labels for another number of classes.
    """
    import numpy as np

    values = np.asarray(output)
    if labels:
        require_a_label_each(labels, values.shape, values.dtype.name)
    if not _ranks_classes(values.shape, values.dtype.name):
        return []
    flat = values.ravel().astype("float64")
    first = np.argsort(-flat, kind="stable")[:most]
    return [RankedClass(int(index), labels[index] if labels else "", float(flat[index])) for index in first]


def _ranks_classes(shape: Sequence[int], dtype: str) -> bool:
    """Whether an output has one number for each class, of one sample."""
    is_number = dtype.lstrip("b").startswith(("float", "int", "uint"))
    return is_number and bool(shape) and math.prod(shape) == max(shape) >= _FEWEST_CLASSES
