"""Holds the finals that a run lacks, on its engine, and tells how they go."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.api.finals.planned_finals import PlannedFinal, missing_finals, plan_of
from sweep.planning.narrowing import of_cells
from sweep.planning.results.final_result import FinalResult
from sweep.planning.results.stage_result import StageResult
from sweep.planning.stage import Plan, Stage
from sweep.running.contract import Engine
from sweep.running.driver import RunResult, drive
from sweep.running.ledger.ledger import Ledger, LedgerState
from sweep.running.observer import Observer
from sweep.running.options import RunOptions
from sweep.running.policy import RetryPolicy
from sweep.running.resuming import settled_failures, usable_results
from sweep.study.cluster.cluster import Cluster
from sweep.study.final_options import Final
from sweep.study.spec import Study

if TYPE_CHECKING:
    from sweep.report.live.progress_view import ProgressView

__all__ = ["Finals", "final_of"]


def final_of(study: Study, cluster: Cluster, state: LedgerState) -> Final | None:
    """How a sweep ends; None: with no finals.

    By default a folder that was begun without has none, nor one whose times are made up; a study that asks for finals
    has them everywhere.
    """
    if study.final is None or study.final.is_asked:
        return study.final
    is_older = state.runs > 0 and not state.has_finals
    return None if is_older or cluster.is_pretended else study.final


@dataclass(frozen=True, slots=True)
class Finals:
    """The finals of one run."""

    final: Final | None
    whole: Plan
    """Of the study."""
    plan: Plan
    """Of the run: a cell of it takes part in each final."""
    ledger: Ledger
    sweep_dir: Path

    @property
    def conditions(self) -> Mapping[str, Any]:
        """What the ledger notes of a run that ends with finals."""
        return {} if self.final is None else {"final": self.final.as_written}

    def missing(self, options: RunOptions) -> list[PlannedFinal]:
        """Those that can be held now; not those that failed for good."""
        if self.final is None:
            return []
        usable = usable_results(self.whole, self.ledger, self.sweep_dir, RunOptions()).done  # tainted ones take part
        failed = set(settled_failures(self.ledger, RetryPolicy(), options))
        finals = missing_finals(self.final, self.whole, self.plan, self.ledger.state, usable)
        return [one for one in finals if one.stage.id not in failed]

    def hold(
        self, engine: Engine, options: RunOptions, view: ProgressView | None, watching: Sequence[Observer] = ()
    ) -> RunResult | None:
        """Measure contenders again that stayed disturbed, now that nothing is tuned or built beside them, then have
        the best cells take turns; None where there is nothing to compare, or no time. options: of the run. watching:
        who is told of its stages beside the view.
        """
        watching = [_OfStages(observer) for observer in watching]
        begun_s, retaken = time.monotonic(), None
        tainted = {planned.cell.id for one in self.missing(options) for planned in one.tainted(self.ledger.state)}
        if tainted and options.max_seconds != 0:
            again = of_cells(self.whole, tainted)
            retaken = self._drive(again, engine, replace(options, retry_tainted=True), view, watching)
            if retaken.status == "interrupted":
                return retaken
        options = options.less(time.monotonic() - begun_s)
        finals = self.missing(options)
        if not finals or options.max_seconds == 0:
            return retaken
        held = self._drive(plan_of(self.whole, finals), engine, options, view, watching)
        return held if retaken is None else replace(held, executed=held.executed + retaken.executed)

    def _drive(
        self,
        plan: Plan,
        engine: Engine,
        options: RunOptions,
        view: ProgressView | None,
        watching: Sequence[Observer],
    ) -> RunResult:
        names = {planned.cell.id: planned.cell.name for planned in self.whole.cells}
        return drive(
            plan,
            engine,
            self.ledger,
            self.sweep_dir,
            observers=[*([] if view is None else [_FinalObserver(view, names)]), *watching],
            options=RunOptions(
                options.max_seconds,
                retry_failed=options.retry_failed,
                retry_tainted=options.retry_tainted,
                name="final",
            ),
        )


@dataclass(frozen=True, slots=True)
class _OfStages:
    """Passes on to an observer of the run what its finals do; the cells of their plans are not those that it counts."""

    observer: Observer

    def attempt_started(self, stage: Stage, attempt: int) -> None:
        self.observer.attempt_started(stage, attempt)

    def stage_done(self, stage: Stage, result: StageResult, seconds: float) -> None:
        self.observer.stage_done(stage, result, seconds)

    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None:
        self.observer.attempt_failed(stage, error_class, error, will_retry)

    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None:
        self.observer.progress(stage, info)

    def cell_settled(self, cell: int, from_earlier_run: bool) -> None:
        pass

    def tick(self, now: float) -> None:
        self.observer.tick(now)


@dataclass(frozen=True, slots=True)
class _FinalObserver:
    """Passes on to the progress view how finals go."""

    view: ProgressView
    names: Mapping[str, str]
    """Of cells, by their id."""

    def attempt_started(self, stage: Stage, attempt: int) -> None:
        self.view.attempt_started(stage.label, stage.kind)

    def stage_done(self, stage: Stage, result: StageResult, seconds: float) -> None:
        self.view.stage_done(stage.label, stage.kind, seconds)
        if isinstance(result, FinalResult):
            for line in self._lines(stage, result):
                self.view.tell(line)

    def attempt_failed(self, stage: Stage, error_class: str, error: str, will_retry: bool) -> None:
        self.view.attempt_failed(stage.label, stage.kind, error_class, error, will_retry)
        if not will_retry:
            self.view.tell(f"no {stage.label}: {error_class}: {error}; its cells keep what was measured first")

    def progress(self, stage: Stage, info: Mapping[str, Any]) -> None:
        pass

    def cell_settled(self, cell: int, from_earlier_run: bool) -> None:
        pass

    def tick(self, now: float) -> None:
        self.view.tick(now)

    def _lines(self, stage: Stage, result: FinalResult) -> list[str]:
        from sweep.analysis.final_place import places_of
        from sweep.analysis.formatting import as_duration, as_times, plural

        places = places_of(stage.id, result)
        lines = [f"{stage.label}: {plural(result.rounds, 'round')} {result.held} in {as_duration(result.took_s)}"]
        if result.in_turns_because is not None:
            lines.append(f"        not side by side: {result.in_turns_because}")
        for cell, place in sorted(places.items(), key=lambda item: item[1].ratio):
            within = f" [{as_times(place.ci_low)}, {as_times(place.ci_high)}]" if place.ci_low < place.ci_high else ""
            lines.append(f"        {self.names.get(cell, cell)}  {as_times(place.ratio)}{within}")
        missing = (one for one in result.contenders if one.failure is not None)
        return lines + [f"        without {self.names.get(one.cell, one.cell)}: {one.failure}" for one in missing]
