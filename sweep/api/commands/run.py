"""Running a study from file to report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.api.finals.holding import Finals, final_of
from sweep.api.inspecting.dataset_check import check_datasets
from sweep.api.inspecting.named_layers_check import check_layer_names
from sweep.api.inspecting.saved_table_check import check_saved_tables
from sweep.api.notifying.run_ending import RunEnding
from sweep.api.predicting.admissions import admitting
from sweep.api.predicting.planner_admission import learnt_from
from sweep.api.session.claim import claim, conditions_of, default_sweep_dir, write_inputs
from sweep.api.session.engine_session import EngineSession, watchers_of
from sweep.api.session.progress_observer import ProgressObserver
from sweep.api.session.publication import is_published, publish
from sweep.api.session.reporting import current_outcome
from sweep.api.session.resumed import resumed
from sweep.api.session.run_mirror import MirrorProcess, MirrorStarter, order_for
from sweep.api.session.stored_sweep import is_uri, stored
from sweep.api.session.table_cache import current_results
from sweep.api.session.warm_start_sources import with_warm_start
from sweep.files.maker import tell_if_foreign
from sweep.planning.narrowing import narrowed
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.running.driver import Observer, RunResult, drive
from sweep.running.ledger.ledger import Ledger
from sweep.running.missing_work import first_measurement, is_missing_something
from sweep.running.options import RunOptions
from sweep.running.resuming import usable_results
from sweep.running.tuned_first import tuned_first
from sweep.study.cluster.cluster import Cluster
from sweep.study.planner_options import as_conditions
from sweep.study.reading.line_numbers import tells_lines
from sweep.study.selection import parse_selection
from sweep.study.spec import Study

if TYPE_CHECKING:
    from sweep.analysis.outcome import SweepOutcome
    from sweep.analysis.rows.results import Results
    from sweep.report.live.progress_view import ProgressView

__all__ = ["RunRequest", "SweepRun", "Watcher", "run"]

Watcher = Callable[[Plan, Ledger], Observer]
"""Makes an observer for a run of these cells."""


@dataclass(frozen=True, slots=True)
class SweepRun:
    """How a run ended."""

    status: str
    """done, failed (some cells), stopped or interrupted."""
    executed: int
    """Attempts that ended in this run; 0 when nothing was missing."""
    sweep_dir: Path
    cells: int
    """Of the study."""
    stopped: str | None = None
    """Why cells were skipped."""
    cut_short: int = 0
    """Tune stages that ended for want of the run's time; the same again goes on with them."""

    @property
    def outcome(self) -> SweepOutcome:
        """Each cell with the results of its stages, read from the folder each time."""
        return current_outcome(self.sweep_dir)

    @property
    def results(self) -> Results:
        """What tables and report show, read from the folder each time."""
        return current_results(self.sweep_dir)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What is asked of a run, made out from the study: its folder, its plan, how far it may go, who is told."""

    study: Study
    cluster: Cluster
    sweep_dir: Path
    fresh: bool
    """Whether what is in the folder is moved aside first."""
    whole: Plan
    """Of all cells of the study: what plan.json keeps, and tables and report show."""
    plan: Plan
    """Of the cells that are to be run."""
    options: RunOptions
    begun_s: float
    """When the command began, on the monotonic clock: from then on its time counts."""
    view: ProgressView | None
    watchers: Sequence[Watcher]
    at_end: Callable[[SweepRun], None] | None


@dataclass(frozen=True, slots=True)
class _ClaimedRun:
    """A request whose folder is this run's alone."""

    request: RunRequest
    ledger: Ledger
    mirror: MirrorProcess | None
    """None where the sweep is not mirrored. Not started: it takes the cores that it finds then."""
    finals: Finals
    """In which the best cells are compared in the end."""
    has_work: bool
    """Whether any cell lacks an answer that this run could give."""


@tells_lines
def run(
    study: Study,
    cluster: Cluster,
    *,
    out: Path | str | None = None,
    fresh: bool = False,
    options: RunOptions | None = None,
    view: ProgressView | None = None,
    warm_start: Sequence[Path | str] = (),
    watchers: Sequence[Watcher] = (),
    at_end: Callable[[SweepRun], None] | None = None,
) -> SweepRun:
    """Run what is missing of a study, and write its tables, MLflow runs and report.

    `out`: the sweep directory, `sweeps/<study>` where it is not given, or a URI at which it is kept: what is there
    already is fetched, and what is finished is sent. `fresh` moves what is there aside first. What another version of
    this program or of TVM has measured there is done again, which is said before; with `options.keep` it stays.
    `view` shows progress. `warm_start`: sweep directories, stores of records or native MetaSchedule databases whose
    schedules the tuners begin with. `options`: how far it may go, by default the study's budget; cells that are not
    among its `only` stay as they are. `watchers` make observers, which are told of everything that happens.
    `at_end` is told how it ended while the folder is still this run's: no other can have moved it or gone on.

    Raises:
        StudyError: the folder holds something else, the study does not go with the cluster, `only` fits no cell, nobody
            answers where a tracker or a Ray should be.
        LedgerError: another run has the folder, or the disk refuses.
        DeviceLost: the tracker or a local server does not come up.
        EngineError: Ray cannot be started or reached.
    """
    with ExitStack() as closing:
        is_stored = out is not None and is_uri(out)
        if is_stored:
            out = closing.enter_context(stored(str(out), fresh=fresh))
        begun_s = time.monotonic()
        sweep_dir = Path(out or default_sweep_dir(study)).absolute()
        learnt_from(study, study.path)  # a wrong one is told before anything is begun
        whole = make_plan(study, cluster)
        check_layer_names(study, whole)
        check_saved_tables(study, whole)
        check_datasets(study)
        if warm_start:
            whole = with_warm_start(whole, [Path(one) for one in warm_start], sweep_dir)
        options = options or RunOptions.within(study.budget)
        plan = whole if options.only is None else narrowed(whole, parse_selection(options.only))
        request = RunRequest(
            study,
            cluster,
            sweep_dir,
            fresh=fresh and not is_stored,  # which `stored` has seen to
            whole=whole,
            plan=plan,
            options=options,
            begun_s=begun_s,
            view=view,
            watchers=watchers,
            at_end=at_end,
        )
        return _perform(request)


def _perform(request: RunRequest) -> SweepRun:
    """Claim the folder and take each step in turn; each is given how the run stands and says how it stands then."""
    with RunEnding(request.study, request.cluster, request.sweep_dir) as told, ExitStack() as closing:
        claim(request.sweep_dir, request.study, fresh=request.fresh)
        claimed = _claimed(request, closing)
        ended = SweepRun("done", 0, request.sweep_dir, len(request.whole.cells))
        for step in _STEPS:
            ended = step(claimed, ended)
        told.ended(ended.status, executed=ended.executed, stopped=ended.stopped)
        return ended


def _claimed(request: RunRequest, closing: ExitStack) -> _ClaimedRun:
    study, cluster, sweep_dir = request.study, request.cluster, request.sweep_dir
    ledger = closing.enter_context(Ledger(sweep_dir))
    whole, plan, earlier = resumed(request.whole, request.plan, sweep_dir, ledger.state, is_kept=request.options.keep)
    request = replace(request, whole=whole, plan=plan)
    write_inputs(sweep_dir, study, whole, earlier)
    mirror = None
    if cluster.is_mirrored:
        order = order_for(sweep_dir, study.name, cluster.mlflow_uri, cluster.register)
        say = None if request.view is None else request.view.tell
        mirror = closing.enter_context(MirrorProcess(order, say=say))
    final = final_of(study, cluster, ledger.state)
    has_work = is_missing_something(request.study, request.plan, ledger, sweep_dir, request.options)
    finals = Finals(final, request.whole, request.plan, ledger, sweep_dir)
    return _ClaimedRun(request, ledger, mirror, finals, has_work or bool(finals.missing(request.options)))


def _execute(claimed: _ClaimedRun, ended: SweepRun) -> SweepRun:
    """Bring farm and engine up and perform what is missing; nothing where nothing is."""
    if not claimed.has_work:
        return ended
    request, ledger = claimed.request, claimed.ledger
    tell_if_foreign(request.sweep_dir, ledger.state.conditions.get("host"))
    session = EngineSession(request.cluster, request.sweep_dir, first=first_measurement(request.plan, ledger))
    observers, watching = _observers(request, ledger)
    if claimed.mirror is not None:
        observers.append(MirrorStarter(claimed.mirror))  # from within: on the cores that no device owns
    with session as engine:
        options = request.options.less(time.monotonic() - request.begun_s)
        options = tuned_first(options, request.cluster, request.plan, ledger, _say(request))
        result = drive(
            request.plan,
            engine,
            ledger,
            request.sweep_dir,
            observers=[*observers, *watching],
            options=admitting(options, request.study, request.plan, ledger),
            conditions={
                **conditions_of(request.study),
                **claimed.finals.conditions,
                **as_conditions(request.study.planner),
            },
        )
        held = None
        if result.status in ("done", "failed"):
            left = request.options.less(time.monotonic() - request.begun_s)
            held = claimed.finals.hold(engine, left, request.view, watching)
    ended = replace(
        ended, status=result.status, executed=result.executed, stopped=result.stopped, cut_short=result.cut_short
    )
    return ended if held is None else _with_finals(ended, held)


def _with_finals(ended: SweepRun, held: RunResult) -> SweepRun:
    """A final that fails takes nothing from the cells, which keep what was measured first."""
    status = held.status if held.status == "interrupted" else ended.status
    return replace(ended, status=status, executed=ended.executed + held.executed)


def _judge(claimed: _ClaimedRun, ended: SweepRun) -> SweepRun:
    """A run that came to its end is done or failed by what its cells have, also from earlier runs."""
    if ended.status not in ("done", "failed"):
        return ended
    return replace(ended, status=_status_of(claimed.request.plan, claimed.ledger))


def _publish(claimed: _ClaimedRun, ended: SweepRun) -> SweepRun:
    """Write tables, report and MLflow, unless they are of this very state."""
    if not claimed.has_work and is_published(ended.sweep_dir):
        return ended
    if claimed.mirror is not None:
        claimed.mirror.begin()
    publish(ended.sweep_dir, ended.cells, claimed.mirror, ended.status)
    return ended


def _announce(claimed: _ClaimedRun, ended: SweepRun) -> SweepRun:
    """Tell who asked how it ended."""
    if claimed.request.at_end is not None:
        claimed.request.at_end(ended)
    return ended


_STEPS: tuple[Callable[[_ClaimedRun, SweepRun], SweepRun], ...] = (_execute, _judge, _publish, _announce)


def _observers(request: RunRequest, ledger: Ledger) -> tuple[list[Observer], list[Observer]]:
    """The view's, and those who watch, also finals, of which the view has an observer of its own."""
    view, plan = request.view, request.plan
    usable = usable_results(plan, ledger, request.sweep_dir, request.options).done
    shown: list[Observer] = [] if view is None else [ProgressObserver(view, plan, ledger, usable)]
    watchers = (*request.watchers, *watchers_of(request.cluster, _say(request)))
    return shown, [watch(plan, ledger) for watch in watchers]


def _say(request: RunRequest) -> Callable[[str], None]:
    return (lambda text: None) if request.view is None else request.view.tell


def _status_of(plan: Plan, ledger: Ledger) -> str:
    """A tainted cell has not failed: it was measured, and says what it is worth."""
    done, not_admitted = ledger.state.done, ledger.state.not_admitted
    missing = (cell for cell in plan.cells if not all(goal in done for goal in cell.goals))
    return "failed" if any(cell.cell.id not in not_admitted for cell in missing) else "done"
