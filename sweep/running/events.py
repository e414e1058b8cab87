"""The events and instructions of the state machine of stages.

Events go in and instructions come out; both are values. Time is seconds since the run began.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.planning.results.predicted_latency import PredictedLatency
    from sweep.planning.results.stage_result import StageResult

__all__ = [
    "FINAL",
    "AttemptFailed",
    "AuditCell",
    "CellSettled",
    "Drop",
    "Event",
    "Finish",
    "Instruction",
    "PreferCells",
    "Skip",
    "SkipCell",
    "StageDone",
    "StageState",
    "Start",
    "Stop",
    "Tick",
]


class StageState(StrEnum):
    """The state of a stage; not to be confused with a cell's status."""

    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    DELAYED = "delayed"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


FINAL = frozenset({StageState.DONE, StageState.FAILED, StageState.SKIPPED})
"""States that no event changes any more."""


@dataclass(frozen=True, slots=True)
class StageDone:
    """An attempt ended well."""

    stage_id: str
    t: float
    result: StageResult | None = None
    """For who admits cells; the machine itself decides nothing by it."""


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """An attempt ended in an error."""

    stage_id: str
    error_class: str
    t: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: delayed stages may be due."""

    t: float


@dataclass(frozen=True, slots=True)
class NetworkTimed:
    """The network of a tune stage has been built and timed while it is still tuned."""

    stage_id: str
    t: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Start nothing more (Ctrl-C, no time left, fail-fast); what runs may end."""

    reason: str
    t: float


@dataclass(frozen=True, slots=True)
class Drop:
    """An attempt that was to start was not made, and will not be in this run."""

    stage_id: str
    reason: str
    t: float


Event = StageDone | AttemptFailed | Tick | NetworkTimed | Stop | Drop


@dataclass(frozen=True, slots=True)
class Start:
    """Begin an attempt of this stage."""

    stage_id: str


@dataclass(frozen=True, slots=True)
class Skip:
    """This stage will not run, because of that stage (or of the run's end, when `because` is no stage)."""

    stage_id: str
    because: str


@dataclass(frozen=True, slots=True)
class CellSettled:
    """All goals of this cell (an index into `Plan.cells`) have reached a final state, or it is skipped."""

    cell: int
    state: StageState


@dataclass(frozen=True, slots=True)
class SkipCell:
    """This cell is not worth its work any more; of its stages those that no other cell needs will not run."""

    cell: int
    reason: str
    predicted: PredictedLatency | None = None
    """Where a prediction is the reason."""


@dataclass(frozen=True, slots=True)
class AuditCell:
    """This cell was to be skipped by a prediction, and is measured all the same, to see whether that was right."""

    cell: int
    predicted: PredictedLatency


@dataclass(frozen=True, slots=True)
class PreferCells:
    """From now on what these cells need comes first, in this order. Told to the machine; nobody else is."""

    cells: Sequence[int]


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is running and nothing can be started."""


Instruction = Start | Skip | CellSettled | SkipCell | AuditCell | Finish
