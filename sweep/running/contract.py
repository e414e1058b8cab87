"""The contract of engines: attempts that the driver starts, and reports that an engine gives.

An engine performs attempts and reports. It decides nothing: no retry, no order, no ledger. The contract, which every
engine passes (`tests/engine/test_contract.py`):

- `start` returns at once; each started attempt ends in exactly one `Done` or `Failed`, unless `close` comes first.
- `poll` returns what has happened since the last call, waiting up to `timeout_s` for a first report.
- Errors of the tree in `sweep.errors` become `Failed` with the class name; anything else does too, as `Bug`, with its
  traceback, since a bug in one stage must not take the others along.
- `poll` raises EngineDown where what the engine rests on does not stay up: nothing more comes of it.
- `close` stops all work and leaves no process behind; it can be called twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from sweep.planning.kinds import place_of
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.stage_kind import Place
from sweep.running.slots import Need

if TYPE_CHECKING:
    from sweep.planning.stage import Stage

__all__ = ["Attempt", "Done", "Engine", "Failed", "Progress", "Report", "needs_of"]

R = TypeVar("R", bound=StageResult)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a stage."""

    stage: Stage
    number: int
    """Counts from 1 over the life of the sweep directory, resumed runs included."""
    inputs: Mapping[str, StageResult]
    """Results of the stage's inputs, by role."""
    limit_s: float | None = None
    """What it may take, where that is less than its kind of stage ever may. A tuner ends well by then, with what it
    has, and says `is_cut_short`; other attempts fail."""

    def input(self, role: str, of: type[R]) -> R:
        """The input of a role. Raises PlanError where there is none of this type."""
        return input_of(self.inputs, role, of)


@dataclass(frozen=True, slots=True)
class Done:
    """The attempt ended well."""

    stage_id: str
    attempt: int
    result: StageResult
    seconds: float
    worker: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt ended in an error."""

    stage_id: str
    attempt: int
    error_class: str
    error: str
    seconds: float
    worker: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a long attempt; for people. It decides no result, only what comes next: `NetworkTimed`."""

    stage_id: str
    info: Mapping[str, Any] = field(default_factory=dict)


Report = Done | Failed | Progress


class Engine(Protocol):
    """Performs attempts; see the contract above."""

    @property
    def capacity(self) -> Mapping[str, int]:
        """How many attempts may hold each slot at once; a slot that is not named has one."""

    def start(self, attempt: Attempt) -> None:
        """Begin an attempt and return."""

    def poll(self, timeout_s: float) -> Sequence[Report]:
        """Reports since the last call."""

    def close(self) -> None:
        """Stop everything."""


def needs_of(stage: Stage) -> tuple[Need, ...]:
    """Slots that an attempt of this stage holds while it runs.

    `Place` says why. Raises StudyError for a stage of an unknown kind.
    """
    match place_of(stage):
        case Place.TUNER:
            return (Need("tune", party=tuner_key(stage)),)
        case Place.DEVICE:
            return (Need(f"device:{stage.options['device']}"),)
        case Place.COMPILE:
            return (Need("compile"),)


def tuner_key(stage: Stage) -> str:
    """The tuner actor a tune stage belongs to: one per (full target, tuner with its options, tuning device)."""
    return str(stage.hints["records"])
