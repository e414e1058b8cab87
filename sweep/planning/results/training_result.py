"""What training a network results in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sweep.planning.results.json_record import seldom
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["TrainResult"]


@dataclass(frozen=True, slots=True)
class TrainResult(StageResult):
    """A network that has learned."""

    steps: int | None = None
    samples: int | None = None
    """That it learned from."""
    test_samples: int | None = None
    accuracy: float | None = None
    """On the samples that were kept for that, in the end."""
    loss: float | None = None
    """Mean of the last steps."""
    sparsity: float | None = None
    """Share of the weights of its layers that are zero."""
    layers: Mapping[str, float] = field(default_factory=dict)
    """The same of each layer, by the name of its weight."""
    curve: Sequence[Sequence[float]] = ()
    """Step, mean loss since the point before, accuracy on the test samples, sparsity."""
    resumed_at: int | None = seldom()
    """The step that an earlier attempt had come to; None where it began anew."""
    train_s: float | None = None
    """Of the attempt that ended it."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(steps=0, accuracy=draw.uniform(0.9, 1.0), train_s=seconds)

    @property
    def needed_files(self) -> Sequence[str]:
        return ("learned-0.npz",)

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"accuracy": self.accuracy, "sparsity": self.sparsity}
