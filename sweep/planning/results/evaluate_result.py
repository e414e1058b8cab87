"""What running a network over labelled samples results in."""

from __future__ import annotations

import base64
import zlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sweep.planning.results.json_record import seldom
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["Evaluation", "packed", "unpacked"]


@dataclass(frozen=True, slots=True)
class Evaluation(StageResult):
    """Classes that a network gave to samples, and what they come to."""

    dataset: str = ""
    samples: int = 0
    classes: int = 0
    correct: int = 0
    accuracy: float | None = None
    accuracy_ci_low: float | None = None
    """Ends of its Wilson interval of 95 %."""
    accuracy_ci_high: float | None = None
    top5: float | None = None
    """None where there are no more than five classes."""
    mean_precision: float | None = None
    mean_recall: float | None = None
    g_mean: float | None = None
    confusion: Sequence[Sequence[int]] = ()
    """[truth, predicted, count] of what occurs."""
    unanswered: int = 0
    """Samples with a score that is no number."""
    class_names: Sequence[str] = seldom(())
    predicted: str = ""
    """The class of each sample, packed."""
    labels: str = ""
    """Its true class, packed."""
    place: str = ""
    """The board that it ran on, or this host."""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    runtime_version: str | None = None
    evaluate_s: float | None = None

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        samples = 100
        labels = [draw.randrange(10) for _ in range(samples)]
        predicted = [label if draw.random() < 0.95 else draw.randrange(10) for label in labels]
        pairs = list(zip(labels, predicted, strict=True))
        correct = sum(label == answer for label, answer in pairs)
        return cls(
            dataset=str(stage.hints.get("dataset", "")),
            samples=samples,
            classes=10,
            correct=correct,
            accuracy=correct / samples,
            confusion=tuple((*pair, pairs.count(pair)) for pair in sorted(set(pairs))),
            predicted=packed(predicted),
            labels=packed(labels),
            place="simulated",
            evaluate_s=seconds,
        )

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {} if self.accuracy is None else {"accuracy": self.accuracy, "samples": self.samples}


def packed(classes: Sequence[int]) -> str:
    """Classes as text: 10,000 of them take some 5 kB."""
    return base64.b64encode(zlib.compress(array("i", classes).tobytes(), 9)).decode()


def unpacked(text: str) -> list[int]:
    """Inverse of `packed`. Raises ValueError for what it has not written."""
    try:
        values = array("i")
        values.frombytes(zlib.decompress(base64.b64decode(text)))
        return list(values)
    except zlib.error as error:
        raise ValueError(str(error)) from error
