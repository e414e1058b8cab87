"""Plans the finals of a sweep: the best cells of each model and device, to be compared in turns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sweep.analysis.comparing.finalists import Candidate, finalists, is_near
from sweep.planning.kinds import inputs_by_role, kind_of
from sweep.planning.results.final_result import digest_of
from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.planning.stage_id import stage_of
from sweep.planning.stages import final as final_stage
from sweep.planning.stages.quantise import ROLE
from sweep.running.ledger.final_places import measured_stage
from sweep.running.ledger.ledger import LedgerState
from sweep.running.ledger.sweep_outcome import cell_outcome
from sweep.study.final_options import Final
from sweep.study.spec import Cell

if TYPE_CHECKING:
    from sweep.analysis.rows.quality_reference import QualityReferences

__all__ = ["PlannedFinal", "missing_finals", "plan_of"]


@dataclass(frozen=True, slots=True)
class PlannedFinal:
    """A final that was not held yet."""

    cells: tuple[PlannedCell, ...]
    """Its contenders."""
    stage: Stage
    near: frozenset[str] = frozenset()
    """Ids of cells whose own measurement is worth taking again, where it was disturbed."""

    def tainted(self, state: LedgerState) -> list[PlannedCell]:
        """Contenders whose measurement stayed disturbed, and is worth taking again."""
        found = ((planned, measured_stage(planned, state)) for planned in self.cells if planned.cell.id in self.near)
        return [planned for planned, measured in found if measured is not None and measured[1].disturbances]


def missing_finals(final: Final, whole: Plan, among: Plan, state: LedgerState, usable: set[str]) -> list[PlannedFinal]:
    """The finals that were not held yet.

    whole: of the study; among: of the run, of which a cell takes part in each. usable: ids of stages whose files are as
    they were; a cell of which any is missing takes no part.
    """
    asked = {planned.cell.id for planned in among.cells}
    planned_by_id = {planned.cell.id: planned for planned in whole.cells}
    found = []
    for group in _groups(final, whole, state, usable):
        cells = [planned_by_id[one.cell.id] for one in group]
        stage = _stage(final, whole, cells, state)
        if stage.id not in state.done and any(planned.cell.id in asked for planned in cells):
            near = frozenset(one.cell.id for one in group if is_near(one, group))
            found.append(PlannedFinal(tuple(cells), stage, near))
    return found


def plan_of(whole: Plan, finals: Sequence[PlannedFinal]) -> Plan:
    """A plan of finals, with the stages that they rest on."""
    needed = _closure(whole, (need for one in finals for need in one.stage.inputs))
    stages = {stage.id: stage for stage in whole.stages.values() if stage.id in needed}
    stages |= {one.stage.id: one.stage for one in finals}
    cells = [PlannedCell(one.cells[0].cell, (one.stage.id,)) for one in finals]
    return Plan(whole.study_name, cells, stages, naive={})


def _groups(final: Final, whole: Plan, state: LedgerState, usable: set[str]) -> list[list[Candidate]]:
    from sweep.analysis.rows.column import CellFacts
    from sweep.analysis.rows.columns import result_row
    from sweep.analysis.rows.objective_fit import fulfils

    candidates = []
    references = _quality_references(whole, state)
    for planned in whole.cells:
        found = measured_stage(planned, state)
        if found is None or not whole.stages[found[0]].options or not _closure(whole, [found[0]]) <= usable:
            continue
        outcome = cell_outcome(whole, planned, state)
        facts = CellFacts.of(outcome, objective=whole.objective, quality_reference=references.of(outcome))
        if whole.objective is not None and planned.cell.is_compiled and not fulfils(result_row(facts)):
            continue  # it would win a place that it cannot have
        candidates.append(Candidate(planned.cell, facts.reading))
    compiles = any(planned.cell.is_compiled for planned in whole.cells)
    return finalists(
        candidates, final.best, whole.baseline, compiles=compiles, most=final_stage.MOST, seconds=final.seconds
    )


def _quality_references(whole: Plan, state: LedgerState) -> QualityReferences:
    """What accuracies are compared with: of all cells, where an objective may ask for it."""
    from sweep.analysis.rows.quality_reference import QualityReferences

    cells = () if whole.objective is None else whole.cells
    return QualityReferences((cell_outcome(whole, planned, state) for planned in cells), whole.originals)


def _stage(final: Final, whole: Plan, cells: Sequence[PlannedCell], state: LedgerState) -> Stage:
    inputs: dict[str, str] = {}
    contenders = []
    for planned in cells:
        found = measured_stage(planned, state)
        assert found is not None
        stage = whole.stages[found[0]]
        contenders.append(
            {
                "cell": planned.cell.id,
                "measured": digest_of(*found),
                "is_compiled": planned.cell.is_compiled,
                "roles": {
                    kind: _role(inputs, kind, stage_id)
                    for kind, stage_id in inputs_by_role(stage, whole.stages).items()
                    if kind in ("import", "build", ROLE)
                },
                "options": dict(stage.options),
            }
        )
    inputs = {role: inputs[role] for role in final_stage.ROLES if role in inputs}
    cell = cells[0].cell
    seconds = final.seconds * (len(contenders) - 1)
    draft = final_stage.draft(cell.device, seconds, contenders, inputs, _what(cell), side_by_side=final.side_by_side)
    return stage_of(kind_of(final_stage.FINAL), draft)


def _role(inputs: dict[str, str], kind: str, stage_id: str) -> str:
    """The role of an input, which several contenders may have in common."""
    known = [role for role, its in inputs.items() if its == stage_id]
    if known:
        return known[0]
    number = 1 + sum(final_stage.ROLES[role] == kind for role in inputs)
    inputs[f"{kind} {number}"] = stage_id
    return f"{kind} {number}"


def _what(cell: Cell) -> str:
    return f"{cell.model} batch {cell.batch}" if cell.batch not in (None, 1) else str(cell.model)


def _closure(whole: Plan, stages: Iterable[str]) -> set[str]:
    """Stages and all that they rest on."""
    found: set[str] = set()
    work = list(stages)
    while work:
        stage_id = work.pop()
        if stage_id not in found:
            found.add(stage_id)
            work.extend(whole.stages[stage_id].inputs)
    return found
