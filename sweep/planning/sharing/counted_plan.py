"""How many stages a study has, without making them: what `sweep plan` says of a grid of which nothing is done yet.

Cells are columns of numbers. The draft of a stage is made once for all cells of which it reads the same, and a stage is
then two or three numbers, its draft's and its inputs', that are counted by the column. Of a million cells this takes a
second and some hundred megabytes, where their stages as objects take half a minute and more than a gigabyte.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sweep.planning.draft import Drafting
from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.sharing.alike import Alike, CountedPlan
from sweep.planning.sharing.draft_memo import DraftMemo, SharedDraft
from sweep.planning.sharing.grid_columns import GridColumns, grouped
from sweep.planning.stage import Stage
from sweep.planning.stages import tune
from sweep.study.cell import Cell
from sweep.study.cluster.cluster import Cluster
from sweep.study.grid import Grid
from sweep.study.spec import Study

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["count_plan"]


def count_plan(study: Study, cluster: Cluster) -> CountedPlan | None:
    """Count what `make_plan` makes; None where the stages of a cell rest on more than its own choices.

    Raises:
        StudyError: the study does not go with the cluster.
    """
    grid = Grid(study, cluster)
    try:
        return _Counting(study, cluster, grid).counted()
    except _NotShared:
        return None


class _NotShared(Exception):
    """A stage takes something of other stages than their ids as its inputs."""


def _not_shared(cell: Cell, kind: str) -> str | None:
    raise _NotShared


class _Counting:
    def __init__(self, study: Study, cluster: Cluster, grid: Grid) -> None:
        self._study, self._grid = study, grid
        self._drafting = Drafting(study, cluster, STAGE_KINDS.names(), _not_shared)
        self._columns = GridColumns(grid)
        self._taken: NDArray[Any] = np.zeros(len(self._columns), np.int32)
        """Stands for the kinds of stages that a cell has so far."""
        self._stages: dict[str, tuple[NDArray[Any], int]] = {}
        """Of each kind the number of each cell's stage, 0 where it has none, and how many numbers there are."""

    def counted(self) -> CountedPlan:
        alike: list[Alike] = []
        bit = 1
        for kind in STAGE_KINDS:
            if kind.draft is None:
                continue
            drafts: dict[int, SharedDraft] = {}
            numbers = self._drafts_of(DraftMemo(kind, kind.draft, self._drafting), drafts)
            found = self._counted(kind.name, numbers, drafts)
            if kind.completed is tune.with_members:
                found = _with_members(found)
            elif kind.completed is not None:
                raise _NotShared
            alike += found
            self._taken[numbers > 0] += bit
            bit *= 2
        refused = self._columns.refused
        cells = len(self._columns) + refused
        return CountedPlan(self._study.name, cells, refused, self._grid.left_out(), alike)

    def _drafts_of(self, memo: DraftMemo, drafts: dict[int, SharedDraft]) -> NDArray[Any]:
        """Of each cell the number of its draft, 0 where it has none; adds the drafts by their numbers."""
        numbers = np.zeros(len(self._columns), np.int64)
        kinds = list(self._stages)
        for taken in np.unique(self._taken).tolist():
            made = [kind for bit, kind in enumerate(kinds) if taken >> bit & 1]
            work: list[tuple[NDArray[Any], frozenset[str]]] = [(np.flatnonzero(self._taken == taken), frozenset())]
            while work:
                cells, known = work.pop()
                first, groups = self._columns.alike(cells, known)
                order = np.argsort(groups, kind="stable")
                ends = np.cumsum(np.bincount(groups, minlength=len(first)))
                for one, begin, end in zip(first.tolist(), [0, *ends[:-1].tolist()], ends.tolist(), strict=True):
                    shared, reads = memo.draft(self._columns.cell(one), made)
                    if not memo.is_shared:
                        raise _NotShared
                    group = cells[order[begin:end]]
                    if reads <= known:
                        numbers[group] = 0 if shared is None else shared.number + 1
                    else:
                        work.append((group, known | reads))
                    if shared is not None:
                        drafts[shared.number + 1] = shared
        return numbers

    def _counted(self, kind: str, numbers: NDArray[Any], drafts: dict[int, SharedDraft]) -> list[Alike]:
        having = np.flatnonzero(numbers)
        columns, sizes = [numbers[having]], [max(drafts, default=0) + 1]
        for need in dict.fromkeys(need for shared in drafts.values() for need in shared.needs):
            takes = np.zeros(sizes[0], bool)
            takes[[number for number, shared in drafts.items() if need in shared.needs]] = True
            stages, size = self._stages[need]
            columns.append(np.where(takes[columns[0]], stages[having], 0))
            sizes.append(size)
        first, groups = grouped(columns, sizes, len(having))
        of_cells = np.zeros(len(numbers), np.int64)
        of_cells[having] = groups + 1
        self._stages[kind] = of_cells, len(first) + 1
        stages = np.bincount(columns[0][first], minlength=sizes[0])
        cells = np.bincount(columns[0], minlength=sizes[0])
        return [
            Alike(_stage(kind, shared), int(stages[number]), int(cells[number]))
            for number, shared in sorted(drafts.items())
            if cells[number]
        ]


def _stage(kind: str, shared: SharedDraft) -> Stage:
    return Stage("", kind, shared.draft.options.data, shared.draft.hints, (), "", shared.versions)


def _with_members(found: Sequence[Alike]) -> list[Alike]:
    members: defaultdict[str, int] = defaultdict(int)
    for one in found:
        members[one.stage.hints["records"]] += one.stages
    return [
        Alike(tune.with_hint(one.stage, members[one.stage.hints["records"]]), one.stages, one.cells) for one in found
    ]
