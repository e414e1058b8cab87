"""Makes the admission of a run that learns which cells need not be measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.api.session.table_cache import readable_table, refresh
from sweep.errors import StudyError
from sweep.files.sweep_dir import SweepDir
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan
from sweep.running.ledger.ledger import Ledger
from sweep.running.ledger.sweep_outcome import cell_outcome
from sweep.running.pruning.predictive_admission import PredictiveAdmission
from sweep.study.axes import axis_names
from sweep.study.planner_options import SELF
from sweep.study.reading.line_numbers import tells_lines
from sweep.study.spec import Study

if TYPE_CHECKING:
    from sweep.predict.cells.cell_model import Point

__all__ = ["known_cells", "learnt_from", "planner_admission"]


def planner_admission(study: Study, plan: Plan, ledger: Ledger) -> PredictiveAdmission | None:
    """The admission that a study's planner asks for; None where it has none.

    Raises StudyError: what it is to learn from is no sweep directory.
    """
    if study.planner is None:
        return None
    done = ledger.state.done
    goals = {goal for planned in plan.cells for goal in planned.goals}
    earlier = {goal: done[goal].result for goal in goals if goal in done}
    known = [] if (folder := learnt_from(study)) is None else known_cells(folder)
    keeps = None if plan.objective is None else _keeps_limits(plan, ledger)
    return PredictiveAdmission(plan, study.planner, earlier=earlier, known=known, seed=study.seed, may_be_best=keeps)


def _keeps_limits(plan: Plan, ledger: Ledger) -> Callable[[int, Mapping[str, StageResult]], bool]:
    """Tells by its results whether a measured cell keeps the limits of the study's objective."""
    from sweep.analysis.rows.column import CellFacts
    from sweep.analysis.rows.columns import result_row
    from sweep.analysis.rows.objective_fit import fulfils
    from sweep.analysis.rows.quality_reference import QualityReferences

    def keeps(index: int, results: Mapping[str, StageResult]) -> bool:
        outcome = cell_outcome(plan, plan.cells[index], ledger.state)
        whole = replace(outcome, status="done", stages={**outcome.stages, **results})
        limits = plan.objective.subject_to if plan.objective is not None else {}
        compared = plan.cells if "accuracy_drop" in limits else ()
        model = plan.originals.get(outcome.cell.model, outcome.cell.model)
        of_model = (cell_outcome(plan, planned, ledger.state) for planned in compared if planned.cell.model == model)
        references = QualityReferences(of_model, plan.originals)
        facts = CellFacts.of(whole, objective=plan.objective, quality_reference=references.of(whole))
        return fulfils(result_row(facts))

    return keeps


@tells_lines
def learnt_from(study: Study, file: Path | None = None) -> Path | None:
    """The sweep directory that a study's planner begins with; None where it learns from its own run alone. file: where
    a person has written it, if in one.

    Raises StudyError: it is none.
    """
    if study.planner is None or study.planner.predictor == SELF:
        return None
    folder = study.path.parent / study.planner.predictor
    if not SweepDir(folder).is_sweep:
        allowed = "self, or a sweep directory"
        problem = "is no sweep directory"
        raise StudyError(problem, file=file, key="planner.predictor", value=str(folder), allowed=allowed)
    return folder


def known_cells(folder: Path) -> list[tuple[Point, float]]:
    """The measured cells of a sweep directory, undisturbed, with their seconds."""
    refresh(folder)
    return list(_measured(folder))


def _measured(folder: Path) -> Iterator[tuple[Point, float]]:
    for row in readable_table(folder, "results").to_pylist():
        if row["status"] == "done" and row["latency_ms_median"] is not None:
            yield (
                {axis: str(row.get(_COLUMNS.get(axis, axis))) for axis in axis_names()},
                row["latency_ms_median"] / 1e3,
            )


_COLUMNS = {"device": "device_key"}
