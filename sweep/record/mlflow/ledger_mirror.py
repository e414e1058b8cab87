"""Bringing a sweep into MLflow from its ledger on: while it runs, and as often as it takes.

The store may be away, locked or full for a while. What could not be written stays to be done, and is tried again with
pauses that double; what is there is looked up first. Knows neither processes nor how often it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from sweep.analysis.rows.ratios import Ratios
from sweep.errors import RecordError
from sweep.files.sweep_dir import SweepDir
from sweep.record.mlflow.run_draft import ModelFile, RunDraft, draft_of
from sweep.record.mlflow.sweep_mirror import MlflowMirror, SweepIdentity
from sweep.running.ledger.ledger import LedgerState
from sweep.running.ledger.saved_plan import SavedSweep
from sweep.running.ledger.sweep_outcome import cell_outcome
from sweep.running.ledger.tail import LedgerTail

__all__ = ["LedgerMirror"]

_AT_ONCE = 64
"""Cells that are written together: less than a second's work for a database, a few seconds' for a server."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0


class LedgerMirror:
    """One sweep on its way into one store."""

    def __init__(self, mirror: MlflowMirror, sweep: SavedSweep, parent_id: str, name: str, sweep_dir: Path) -> None:
        """`parent_id`, `name`: of the sweep among others in the store."""
        self.mirror = mirror
        self._id, self._name, self._sweep_dir = parent_id, name, sweep_dir
        self._plan = sweep.plan
        self._models = {name: ModelFile.of(name, model) for name, model in sweep.models.items()}
        self._tail = LedgerTail(SweepDir(sweep_dir).ledger)
        self._cells_of: dict[str, list[int]] = {}
        """Cells that take a stage."""
        for index, planned in enumerate(self._plan.cells):
            for stage_id in planned.stages:
                self._cells_of.setdefault(stage_id, []).append(index)
        self._to_do: dict[int, None] = {}
        """Cells that are settled and not written, in order."""
        self._written: set[int] = set()
        """Cells that were, since the store was opened."""
        self._ratios = Ratios(self._plan.baseline, self._plan.baselines)
        self.is_open = False
        """Whether it was seen what the store has."""
        self._pause_s = 0.0
        self.trouble: str | None = None
        """Why the store takes nothing now."""

    @cached_property
    def _varied(self) -> set[str]:
        """Further axes that cells differ in."""
        return {axis for planned in self._plan.cells for axis, _ in planned.cell.more}

    @cached_property
    def _cell_of_id(self) -> Mapping[str, int]:
        """Made when it is asked for: most sweeps skip no cell, and an id is a hash."""
        return {planned.cell.id: index for index, planned in enumerate(self._plan.cells)}

    @property
    def state(self) -> LedgerState:
        """Of the ledger, as far as it was read."""
        return self._tail.state

    @property
    def left(self) -> int:
        """Settled cells that are not written, as far as is known."""
        return len(self._to_do)

    def step(self) -> tuple[dict[str, str], float]:
        """Read what is new and write some of it: runs by cell id, and the seconds to wait before the next step.

        Raises LedgerError where the ledger cannot be read.
        """
        while news := self._tail.news():
            for event in news:
                self._take(event)
        if self.state.first_t is None:  # there is no sweep yet
            return {}, _FIRST_PAUSE_S
        return self._tried(self._write_some)

    def look_again(self) -> None:
        """Take up every settled cell that was not written since the store was opened; what is there stays."""
        self._to_do.update((index, None) for index in range(len(self._plan.cells)) if index not in self._written)

    def try_to(self, act: Callable[[], object]) -> tuple[bool, float]:
        """Do something with the open mirror: whether it was done, and the seconds to wait before trying again."""

        def done() -> dict[str, str]:
            act()
            return {"": ""}

        ran, pause_s = self._tried(done)
        return bool(ran), pause_s

    def _tried(self, act: Callable[[], dict[str, str]]) -> tuple[dict[str, str], float]:
        try:
            if not self.is_open:
                self.mirror.open(self._identity())
                self.is_open = True
                self._written.clear()
                self.look_again()
            done = act()
        except RecordError as error:
            self.trouble, self.is_open = str(error), False
            self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s or _FIRST_PAUSE_S)
            return {}, self._pause_s
        self.trouble, self._pause_s = None, 0.0
        return done, 0.0

    def _identity(self) -> SweepIdentity:
        tags = {**self._plan.tags, **self.state.conditions.get("versions", {})}
        if self._plan.baseline is not None:
            tags["sweep.baseline"] = self._plan.baseline
        return SweepIdentity(self._id, self._name, self._sweep_dir, self.state.first_t or 0.0, tags)

    def _take(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "stage_done":
                stage, cells = event["stage"], self._plan.cells
                settled = (index for index in self._cells_of.get(stage, ()) if stage in cells[index].goals)
                self._to_do.update(dict.fromkeys(settled))
            case "cell_skipped":
                if (index := self._cell_of_id.get(event["cell"])) is not None:  # of this study as it is now
                    self._to_do[index] = None
            case "attempt_failed" if not event["retry"]:
                self._to_do.update(dict.fromkeys(self._cells_of.get(event["stage"], ())))

    def _write_some(self) -> dict[str, str]:
        taken, drafts = [], {}
        for index, draft in self._drafts():
            taken.append(index)
            if draft is not None:
                drafts[index] = draft
            if len(drafts) == _AT_ONCE:
                break
        written = self.mirror.record_cells([draft.with_ratios(self._ratios) for draft in drafts.values()])
        self._written.update(drafts)
        for index in taken:
            del self._to_do[index]
        return written

    def _drafts(self) -> Iterator[tuple[int, RunDraft | None]]:
        """Each cell that may be settled; None where it is not. Those that others are compared with are noted."""
        for index in self._to_do:
            planned = self._plan.cells[index]
            outcome = cell_outcome(self._plan, planned, self.state)
            if outcome.status == "pending":
                yield index, None
                continue
            model = self._models.get(planned.cell.model)
            draft = draft_of(outcome, model, str(self._sweep_dir), self._settled_t(planned.stages), self._varied)
            self._ratios.note(outcome, draft.reading)
            yield index, draft

    def _settled_t(self, stages: tuple[str, ...]) -> float:
        state = self.state
        ends = [state.done[stage].t for stage in stages if stage in state.done]
        ends += [state.failed[stage].t for stage in stages if stage in state.failed]
        return max(ends, default=state.last_t or 0.0)
