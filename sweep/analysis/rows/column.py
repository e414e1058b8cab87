"""What a column of results.parquet is: a quantity of a cell, declared once for tables, MLflow and report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sweep.analysis.classification import Agreement
from sweep.analysis.outcome import MEASURED, CellOutcome
from sweep.analysis.rows.bounds import Reading, bound_of
from sweep.analysis.rows.measurements import repeats_of
from sweep.analysis.rows.quality_reference import QualityReference
from sweep.analysis.rows.tuning_rows import tuning_columns
from sweep.analysis.rows.unchecked import NOT_COMPARED, output_check_of, why_unchecked
from sweep.analysis.statistics import LatencySummary, summarise
from sweep.planning.results.compiling import BuildResult, ImportResult
from sweep.planning.results.evaluate_result import Evaluation
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.tuning_result import TuneResult
from sweep.study.objective import Objective

__all__ = ["CellFacts", "Column", "ColumnType", "Detail"]

ColumnType = Literal["text", "bool", "int8", "int32", "int64", "float64"]


@dataclass(frozen=True, slots=True)
class CellFacts:
    """A cell, and what its columns are made of."""

    outcome: CellOutcome
    study: str
    baseline: str | None
    mlflow_run_id: str | None
    measured: Measurement | None
    """None where the cell has no measurement."""
    measure: Measurement
    """The same, or an empty one."""
    built: BuildResult
    """An empty one where nothing was built."""
    tuning: Mapping[str, Any]
    latency: LatencySummary | None
    """In seconds; None unless the cell's status is done or tainted."""
    blocks: int
    """Blocks of repeats that count."""
    objective: Objective | None = None
    """What the study wants of a cell."""
    quality_reference: QualityReference | None = None
    """The cell that its answers are compared with."""

    @classmethod
    def of(
        cls,
        outcome: CellOutcome,
        *,
        study: str = "",
        baseline: str | None = None,
        objective: Objective | None = None,
        mlflow_run_id: str | None = None,
        quality_reference: QualityReference | None = None,
    ) -> CellFacts:
        """Of a cell; the rest is what holds for its sweep."""
        measured = outcome.result(Measurement)
        blocks = repeats_of(measured)
        return cls(
            outcome,
            study,
            baseline,
            mlflow_run_id,
            measured,
            measured or Measurement(),
            outcome.result(BuildResult) or BuildResult(),
            tuning_columns(outcome),
            summarise(blocks) if blocks and outcome.status in MEASURED else None,
            len(blocks),
            objective,
            quality_reference,
        )

    @property
    def evaluation(self) -> Evaluation | None:
        """Its answers to labelled samples; None where it was not evaluated."""
        return self.outcome.result(Evaluation)

    @property
    def agreement(self) -> Agreement | None:
        """With its reference, sample by sample."""
        found = self.evaluation
        return None if found is None or self.quality_reference is None else self.quality_reference.agreement(found)

    @property
    def bound(self) -> str | None:
        """What its latency is: exact, upper, or nothing that can be read, as of code whose outputs nobody knows."""
        if self.latency is None or self.output_check == NOT_COMPARED:
            return None
        return bound_of(self.outcome.status, self.measure.tainted)

    @property
    def output_check(self) -> str | None:
        """Whether its outputs were compared with expected ones; None where it was not measured."""
        return output_check_of(self.measured)

    @property
    def unchecked(self) -> str | None:
        """Why they were not."""
        return why_unchecked(self.measured, self.outcome.result(ImportResult))

    @property
    def reading(self) -> Reading:
        """Its latency as others are compared with it."""
        return Reading.of_summary(self.latency, self.bound, self.outcome.final)

    @property
    def is_tuned(self) -> bool:
        """Whether a tuner worked on it."""
        return self.outcome.result(TuneResult) is not None


@dataclass(frozen=True, slots=True)
class Detail:
    """How the page's table shows a column, where it has room for more than what answers the study."""

    title: str
    text: Callable[[Any], str] = str
    """From a value that is not null."""
    about: str = ""
    """What it says, for whoever points at it; the column's meaning where it is empty."""
    rank: int = 1_000
    """The least are shown first."""
    is_on_paper: bool = False
    """Whether it stays when the page is printed."""


@dataclass(frozen=True, slots=True)
class Column:
    """One quantity of a cell."""

    name: str
    type: ColumnType
    meaning: str
    unit: str = ""
    value: Callable[[CellFacts], Any] | None = field(default=None)
    """From a cell alone; None for what takes other cells to know, which is filled in afterwards."""
    metric: str = ""
    """Its name in MLflow; empty where MLflow has none. What is null is not written."""
    is_of_tuning: bool = False
    """Whether it says nothing of an untuned cell: a zero there would read like a tuning that cost nothing."""
    detail: Detail | None = None

    def of(self, facts: CellFacts) -> Any:
        """Its value for a cell."""
        return None if self.value is None else self.value(facts)
