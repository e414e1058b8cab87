"""The outcome of a sweep: each cell with the results of its stages.

Plain data, built from plan and ledger; tables, MLflow mirror and report all read it. Knows no files and no engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sweep.analysis.final_place import FinalPlace
from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.predicted_latency import PredictedLatency
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from sweep.planning.results.final_result import FinalResult
    from sweep.study.objective import Objective
    from sweep.study.spec import Cell

__all__ = ["MEASURED", "REFUSED", "CellOutcome", "CellStatus", "SweepOutcome"]

CellStatus = Literal["done", "tainted", "failed", "skipped", "pending"]
MEASURED: tuple[CellStatus, ...] = ("done", "tainted")
"""Of a cell with such a status there is a latency."""

REFUSED = "Refused"
"""Error class of a cell whose runtime does not take its network. It is skipped, and no run will measure it."""

R = TypeVar("R", bound=StageResult)


@dataclass(frozen=True, slots=True)
class CellOutcome:
    """One cell and how far it came."""

    cell: Cell
    status: CellStatus
    """`tainted`: measured, disturbed each time, as `error` tells. `skipped`: never tried, for the reason in `error`.
    `pending`: neither done nor given up."""
    error_class: str | None = None
    error: str | None = None
    failed_stage: str | None = None
    """Kind of the stage that failed (import, lower, tune, build, measure)."""
    stages: Mapping[str, StageResult] = field(default_factory=dict)
    """Result of each finished stage, by its name (`sweep.planning.sharing.names_in_cell`): an own one's is its kind."""
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each finished stage, by the same name; a shared stage counts in full in every cell that needs it."""
    attempts: int = 0
    """Attempts of all its stages together."""
    kept: str | None = None
    """Why other stages would give its answer today, where an earlier version's is kept."""

    tags: Mapping[str, str] = field(default_factory=dict)
    """A person's own, also those of its study."""
    final: FinalPlace | None = None
    """How it stood in the final; None where it took part in none."""
    predicted: PredictedLatency | None = None
    """Of a cell that the last run skipped by it, or a run measured to see whether it might have."""

    def result(self, of: type[R]) -> R | None:
        """The cell's own result of a type; None where there is none yet. Own stages alone are called by their kinds."""
        named = self.stages.items()
        return next((result for name, result in named if type(result) is of and name in STAGE_KINDS), None)

    @property
    def axes(self) -> dict[str, Any]:
        """The cell's value on each axis; of the precision the number type that its runtime chose, once it is known."""
        measured = self.result(Measurement)
        chosen = None if measured is None else measured.computed_in
        return self.cell.axes | ({} if chosen is None else {"precision": chosen})

    def to_json(self) -> dict[str, Any]:
        """As JSON has it, for what is kept of a cell elsewhere."""
        stages = {name: result.to_json() for name, result in self.stages.items()}
        told = asdict(replace(self, stages={})) | {"cell": self.cell.to_json(), "stages": stages}
        for name in ("tags", "final", "predicted"):  # so that what was kept of a cell without is the same as ever
            if not told[name]:
                del told[name]
        return told


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """A sweep as it stands, finished or not."""

    study: str
    question: str
    cells: Sequence[CellOutcome]
    started_t: float
    """Unix seconds."""
    ended_t: float
    """Unix seconds; of the last event where the sweep has not ended."""
    interrupted: bool
    stage_counts: Mapping[str, Mapping[str, int]]
    """By kind, then by status (done, failed, ...)."""
    stage_seconds: Mapping[str, float]
    """Seconds of all finished stages by kind, each stage once, in however many cells it occurs."""
    sweep_dir: Path
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """Of the host and the versions that hold for the whole sweep."""
    baseline: str | None = None
    """The runtime that cells are compared with."""
    baselines: Mapping[str, str] = field(default_factory=dict)
    """By model, where it is another."""
    originals: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """By model whose file was quantised from another model, that one: what its accuracy is compared with."""
    pairs: Sequence[Mapping[str, Any]] = ()
    """Blocks that were measured after the run, to compare two cells: `cells`, their ids, and `blocks`, one of each."""
    worked_s: float | None = None
    """Of all runs together, without the pauses between them."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """A person's own, of the study."""
    objective: Objective | None = None
    """What the study wants of a cell."""
    finals: Mapping[str, FinalResult] = field(default_factory=dict)
    """By their id, those that cells have their places in."""
    rooflines: Sequence[StageResult] = ()
    """Roofs of devices and times of layers, in the order in which they were measured."""
