"""The stages that the cells of a study take, each made once, with its id.

An id is a hash of the stage's kind, its options, the ids of its inputs and the versions of what does the work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from sweep.planning.draft import Draft, Drafting
from sweep.planning.fingerprint import canonical_json
from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.sharing.draft_memo import DraftMemo, SharedDraft, check_input
from sweep.planning.stage import PlannedCell, Stage
from sweep.planning.stage_id import content_id, id_with, stage_of
from sweep.planning.stage_kind import StageKind
from sweep.planning.versions import versions_of
from sweep.study.cluster.cluster import Cluster
from sweep.study.spec import Cell, Study

__all__ = ["SharedStages"]


class SharedStages:
    """Makes them, in the order in which cells ask for them."""

    def __init__(self, study: Study, cluster: Cluster) -> None:
        self._kinds = tuple(STAGE_KINDS)
        self._drafting = Drafting(study, cluster, STAGE_KINDS.names(), self._stage_of)
        self._memos = [DraftMemo(kind, kind.draft, self._drafting) for kind in self._kinds if kind.draft is not None]
        self._rows = [(memo, memo.kind.name, memo.kind.is_goal, 1 << bit) for bit, memo in enumerate(self._memos)]
        self._taken: Counter[int] = Counter()
        """Cells by the kinds of stages that they take."""
        self._borrowed: Counter[str] = Counter()
        """Stages that cells take of other cells, by kind."""
        self.by_id: dict[str, Stage] = {}
        """Inputs before what takes them."""

    def of(self, cell: Cell) -> PlannedCell:
        """A cell with the stages that it takes, made where they are new."""
        borrowed: list[str] = []
        goals: list[str] = []
        made: dict[str, str] = {}
        taken = 0
        for memo, kind, is_goal, bit in self._rows:
            for read, known in memo.tables.get(taken, ()):
                values = read(cell)
                if values in known:
                    shared = known[values]
                    break
            else:
                shared = memo.learn(cell, taken, tuple(made))
            if shared is not None:
                stage_id = self._shared_id(memo, shared, cell, made)
            elif memo.is_shared or (draft := memo.make(self._drafting, cell, made)) is None:
                continue
            else:
                stage_id = self._add(memo.kind, draft, cell)
                for need in draft.inputs.values():
                    if need not in made.values() and need not in borrowed:
                        self._take_with_inputs(need, borrowed)
            made[kind] = stage_id
            taken |= bit
            if is_goal:
                goals.append(stage_id)
        self._taken[taken] += 1
        own = tuple(made.values())
        self._borrowed.update(self.by_id[stage_id].kind for stage_id in borrowed if stage_id not in own)
        return PlannedCell(cell, tuple(dict.fromkeys((*borrowed, *own))), tuple(goals))

    def complete(self) -> None:
        """Once all cells have been asked for: give stages the hints that the whole plan tells."""
        for kind in self._kinds:
            if kind.completed is not None:
                stages = [stage for stage in self.by_id.values() if stage.kind == kind.name]
                self.by_id.update((stage.id, stage) for stage in kind.completed(stages))

    def naive(self) -> Counter[str]:
        """How many stages of each kind the cells take, shared ones once for each cell."""
        naive = Counter(self._borrowed)
        for taken, cells in self._taken.items():
            naive.update({kind: cells for _, kind, _, bit in self._rows if taken & bit})
        return naive

    def _shared_id(self, memo: DraftMemo, shared: SharedDraft, cell: Cell, made: Mapping[str, str]) -> str:
        inputs = tuple([made[kind] for kind in shared.needs])
        if shared.ids is not None and inputs in shared.ids:
            memo.hits += 1
            return shared.ids[inputs]
        stage_id = id_with(inputs, shared.tail)
        if stage_id not in self.by_id:
            draft = shared.draft
            label = draft.label if isinstance(draft.label, str) else draft.label(self._drafting, cell)
            options, hints, versions = draft.options.data, draft.hints, shared.versions
            self.by_id[stage_id] = Stage(stage_id, memo.kind.name, options, hints, inputs, label, versions)
        if shared.ids is not None:
            shared.ids[inputs] = stage_id
            memo.missed()
        return stage_id

    def _stage_of(self, cell: Cell, wanted: str) -> str | None:
        """One stage of any cell, with what it rests on alone."""
        needed = {wanted}
        for kind in reversed(self._kinds):
            if kind.name in needed:
                needed.update(kind.inputs.values())
        made: dict[str, str] = {}
        for memo in self._memos:
            draft = memo.make(self._drafting, cell, made) if memo.kind.name in needed else None
            if draft is not None:
                made[memo.kind.name] = self._add(memo.kind, draft, cell)
        return made.get(wanted)

    def _take_with_inputs(self, stage_id: str, stages: list[str]) -> None:
        """Add another cell's stage to those that a cell borrows, after all that it rests on."""
        for need in self.by_id[stage_id].inputs:
            if need not in stages:
                self._take_with_inputs(need, stages)
        stages.append(stage_id)

    def _add(self, kind: StageKind, draft: Draft, cell: Cell) -> str:
        """Give a draft its id, and keep the stage unless there is one of the same content."""
        if draft.id:
            return draft.id
        versions = versions_of(kind, draft.distributions, draft.source)
        draft.id = stage_id = content_id(kind, draft, canonical_json(versions))
        if stage_id not in self.by_id:
            for role, need in draft.inputs.items():
                check_input(kind, role, self.by_id[need].kind, draft)
            label = draft.label_for(self._drafting, cell)
            self.by_id[stage_id] = stage_of(kind, draft, versions, label)
        return stage_id
