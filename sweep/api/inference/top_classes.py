"""The classes that an output ranks first, with their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.errors import StudyError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RankedClass", "read_labels", "top_classes"]

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


def top_classes(output: NDArray[Any], labels: Sequence[str] = (), most: int = 5) -> list[RankedClass]:
    """The first classes of an output of one sample; empty where it does not rank classes: a number alone, or a picture.

    Raises StudyError where there are labels for another number of classes.
    """
    import numpy as np

    values = np.asarray(output)
    if values.dtype.kind not in "fiu" or values.size < _FEWEST_CLASSES or values.size != max(values.shape):
        if labels:
            problem = f"is given to an output that ranks no classes: {values.dtype} {list(values.shape)}"
            raise StudyError(
                problem, key="--labels", value=len(labels), allowed="an output of one number for each class"
            )
        return []
    if labels and len(labels) != values.size:
        allowed = f"{values.size}, one for each class of the output"
        raise StudyError("has another number of labels", key="--labels", value=len(labels), allowed=allowed)
    flat = values.ravel().astype("float64")
    first = np.argsort(-flat, kind="stable")[:most]
    return [RankedClass(int(index), labels[index] if labels else "", float(flat[index])) for index in first]
