"""The stages that the cells of a study take, each made once, with its id.

An id is a hash of the stage's kind, its options, the ids of its inputs and the versions of what does the work.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from sweep.errors import PlanError
from sweep.planning.draft import Draft, Drafting
from sweep.planning.fingerprint import canonical_json
from sweep.planning.kinds import STAGE_KINDS, kind_of
from sweep.planning.stage import PlannedCell, Stage
from sweep.planning.stage_id import content_id, stage_of
from sweep.planning.stage_kind import StageKind
from sweep.planning.versions import versions_of
from sweep.study.cluster.cluster import Cluster
from sweep.study.spec import Cell, Study

__all__ = ["SharedStages"]


class SharedStages:
    """Makes them, in the order in which cells ask for them."""

    def __init__(self, study: Study, cluster: Cluster) -> None:
        self._kinds = tuple(STAGE_KINDS)
        self._drafts = tuple([(kind, kind.draft) for kind in self._kinds if kind.draft is not None])
        self._drafting = Drafting(study, cluster, STAGE_KINDS.names(), self._stage_of)
        self._versions: dict[Hashable, tuple[str, Mapping[str, str | int]]] = {}
        self.by_id: dict[str, Stage] = {}
        """Inputs before what takes them."""

    def of(self, cell: Cell) -> PlannedCell:
        """A cell with the stages that it takes, made where they are new."""
        stages: list[str] = []
        goals: list[str] = []
        made: dict[str, str] = {}
        for kind, make in self._drafts:
            draft = make(self._drafting, cell, made)
            if draft is None:
                continue
            stage_id = made[kind.name] = draft.id or self._add(kind, draft)
            for need in draft.inputs.values():
                if need not in stages:
                    self._take_with_inputs(need, stages)
            stages.append(stage_id)
            if kind.is_goal:
                goals.append(stage_id)
        return PlannedCell(cell, tuple(stages), tuple(goals))

    def complete(self) -> None:
        """Once all cells have been asked for: give stages the hints that the whole plan tells."""
        for kind in self._kinds:
            if kind.completed is not None:
                stages = [stage for stage in self.by_id.values() if stage.kind == kind.name]
                self.by_id.update((stage.id, stage) for stage in kind.completed(stages))

    def _stage_of(self, cell: Cell, wanted: str) -> str | None:
        """One stage of any cell, with what it rests on alone."""
        needed = {wanted}
        for kind in reversed(self._kinds):
            if kind.name in needed:
                needed.update(kind.inputs.values())
        made: dict[str, str] = {}
        for kind, make in self._drafts:
            draft = make(self._drafting, cell, made) if kind.name in needed else None
            if draft is not None:
                made[kind.name] = draft.id or self._add(kind, draft)
        return made.get(wanted)

    def _take_with_inputs(self, stage_id: str, stages: list[str]) -> None:
        """Add another cell's stage to those of a cell, after all that it rests on."""
        for need in self.by_id[stage_id].inputs:
            if need not in stages:
                self._take_with_inputs(need, stages)
        stages.append(stage_id)

    def _add(self, kind: StageKind, draft: Draft) -> str:
        """Give a draft its id, and keep the stage unless there is one of the same content."""
        text, versions = self._versions_of(kind, draft)
        draft.id = stage_id = content_id(kind, draft, text)
        if stage_id not in self.by_id:
            self._check_inputs(kind, draft)
            self.by_id[stage_id] = stage_of(kind, draft, versions)
        return stage_id

    def _versions_of(self, kind: StageKind, draft: Draft) -> tuple[str, Mapping[str, str | int]]:
        """As canonical JSON, and as they are: one for all stages that have the same."""
        key = (kind.name, draft.distributions, draft.source)
        if key not in self._versions:
            versions = versions_of(kind, draft.distributions, draft.source)
            self._versions[key] = canonical_json(versions), versions
        return self._versions[key]

    def _check_inputs(self, kind: StageKind, draft: Draft) -> None:
        """Raises PlanError for an input that the kind has no role for, or that is of another kind than its role's."""
        for role, stage_id in draft.inputs.items():
            found = self.by_id[stage_id].kind
            if kind.inputs.get(role) != found:
                wanted = kind_of(kind.name).inputs.get(role)
                problem = f"takes a {wanted}" if wanted else f"is not among {', '.join(kind.inputs) or 'no roles'}"
                raise PlanError(f"{draft.label}: the input {role} {problem}, and is given a {found}")
