"""Running a study from file to report."""

from __future__ import annotations

import logging
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.api.commands.mirror import MirrorProcess, order_for
from sweep.api.session.claim import claim, default_sweep_dir, write_inputs
from sweep.api.session.engine_session import EngineSession, watchers_of
from sweep.api.session.progress_observer import ProgressObserver
from sweep.api.session.reporting import current_outcome, write_report_of
from sweep.api.session.stored_sweep import is_uri, stored
from sweep.api.session.table_cache import current_results, known_runs, known_server
from sweep.api.session.warm_start_sources import with_warm_start
from sweep.files.atomic import write_text
from sweep.files.sweep_dir import SweepDir
from sweep.planning.narrowing import narrowed
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.running.driver import Observer, RunResult, drive
from sweep.running.ledger.ledger import Ledger
from sweep.running.options import RunOptions
from sweep.running.policy import RetryPolicy
from sweep.running.resuming import settled_failures, usable_results
from sweep.study.cluster.cluster import Cluster
from sweep.study.runtimes import runtime_of
from sweep.study.selection import parse_selection
from sweep.study.spec import Study

if TYPE_CHECKING:
    from sweep.analysis.outcome import SweepOutcome
    from sweep.analysis.results import Results
    from sweep.report.live.progress_view import ProgressView

__all__ = ["SweepRun", "Watcher", "run"]

Watcher = Callable[[Plan, Ledger], Observer]
"""Makes an observer for a run of these cells."""

_PACKAGES = ("apache-tvm", "apache-tvm-ffi", "ray", "mlflow", "onnx", "onnxruntime", "xgboost-cpu", "numpy")
"""Whose versions a run notes, beside those of the study's runtimes."""

_PATIENCE_S = {"": 20.0, "interrupted": 5.0}
"""How long MLflow may make no progress at the end of a run. After Ctrl-C it is waited for no longer in any case."""


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


def run(
    study: Study,
    cluster: Cluster,
    *,
    out: Path | str | None = None,
    fresh: bool = False,
    options: RunOptions | None = None,
    view: ProgressView | None = None,
    warm_start: Sequence[Path] = (),
    watchers: Sequence[Watcher] = (),
    at_end: Callable[[SweepRun], None] | None = None,
) -> SweepRun:
    """Run what is missing of a study, and write its tables, MLflow runs and report.

    `out`: the sweep directory, `sweeps/<study>` where it is not given, or a URI at which it is kept: what is there
    already is fetched, and what is finished is sent. `fresh` moves what is there aside first.
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
    if out is not None and is_uri(out):
        with stored(str(out), fresh=fresh) as folder:
            return run(
                study,
                cluster,
                out=folder,
                options=options,
                view=view,
                warm_start=warm_start,
                watchers=watchers,
                at_end=at_end,
            )
    sweep_dir = Path(out or default_sweep_dir(study)).absolute()
    begun = time.monotonic()
    whole = make_plan(study, cluster)
    if warm_start:
        whole = with_warm_start(whole, warm_start, sweep_dir)
    options = options or RunOptions.within(study.budget)
    plan = whole if options.only is None else narrowed(whole, parse_selection(options.only))
    claim(sweep_dir, study, fresh=fresh)
    with ExitStack() as closing:
        ledger = closing.enter_context(Ledger(sweep_dir))
        write_inputs(sweep_dir, study, whole)
        mirror = _mirror(study, cluster, sweep_dir, view, closing)
        ended = RunResult("done", 0)
        is_reported = False
        if _is_missing_something(plan, ledger, sweep_dir, options):
            room = EngineSession(cluster, sweep_dir)
            observers: list[Observer] = [] if view is None else [ProgressObserver(view, plan, ledger)]
            say = (lambda text: None) if view is None else view.console.print
            observers += [watch(plan, ledger) for watch in (*watchers, *watchers_of(cluster, say))]
            with room as engine:
                if mirror is not None:
                    mirror.start()  # here: on the cores that no device owns
                left = _less(options, time.monotonic() - begun)
                about = _conditions(study)
                ended = drive(plan, engine, ledger, sweep_dir, observers=observers, options=left, conditions=about)
        else:
            is_reported = _is_reported(sweep_dir)
            if mirror is not None and not is_reported:
                mirror.start()
        status = _status_of(plan, ledger) if ended.status in ("done", "failed") else ended.status
        if not is_reported:
            _record(sweep_dir, len(whole.cells), mirror, status)
        told = SweepRun(status, ended.executed, sweep_dir, len(whole.cells), ended.stopped, ended.cut_short)
        if at_end is not None:
            at_end(told)
        return told


def _mirror(
    study: Study, cluster: Cluster, sweep_dir: Path, view: ProgressView | None, closing: ExitStack
) -> MirrorProcess | None:
    if not cluster.is_mirrored:
        return None
    order = order_for(sweep_dir, study.name, cluster.mlflow_uri)
    return closing.enter_context(MirrorProcess(order, say=None if view is None else view.console.print))


def _less(options: RunOptions, spent_s: float) -> RunOptions:
    """A run's time begins with its command, and not when farm and engine are up."""
    if options.max_seconds is None:
        return options
    return replace(options, max_seconds=max(0.0, options.max_seconds - spent_s))


def _is_missing_something(plan: Plan, ledger: Ledger, sweep_dir: Path, options: RunOptions) -> bool:
    """Whether any cell lacks an answer that another run could give."""
    done = usable_results(plan, ledger, sweep_dir, options)
    failed = set(settled_failures(ledger, RetryPolicy(), options))
    return any(cell.stages[-1] not in done and not failed.intersection(cell.stages) for cell in plan.cells)


def _is_reported(sweep_dir: Path) -> bool:
    """Whether tables and report are of the ledger's last line, and of this plan."""
    from sweep.record.table_source import is_current, source_of

    try:
        reported = SweepDir(sweep_dir).reported.read_text(encoding="utf-8")
    except OSError:
        return False
    return reported == source_of(sweep_dir) and is_current(sweep_dir)


def _status_of(plan: Plan, ledger: Ledger) -> str:
    """A tainted cell has not failed: it was measured, and says what it is worth."""
    return "done" if all(each.stages[-1] in ledger.state.done for each in plan.cells) else "failed"


def _record(sweep_dir: Path, cells: int, mirror: MirrorProcess | None, status: str) -> None:
    """Cells into MLflow, then tables and report with the names of their runs, then these into MLflow."""
    from sweep.record.table_source import source_of

    source = source_of(sweep_dir)
    if mirror is None:
        write_report_of(sweep_dir, cells, known_runs(sweep_dir), known_server(sweep_dir))
        _note_reported(sweep_dir, source)
        return
    mirror.patience_s = _PATIENCE_S["interrupted" if status == "interrupted" else ""]
    if status == "interrupted":
        mirror.limit_s = mirror.patience_s
    is_in = False
    with suppress(KeyboardInterrupt):  # who has no patience with MLflow gets the tables all the same
        is_in = mirror.settle()
    write_report_of(sweep_dir, cells, mirror.run_ids, mirror.tracking_uri)
    if is_in and mirror.finish(status):
        _note_reported(sweep_dir, source)
    else:
        logging.getLogger(__name__).warning(
            "MLflow lacks some of this sweep: %s; the same again, or `sweep mirror %s`, writes it",
            mirror.trouble,
            sweep_dir,
        )


def _note_reported(sweep_dir: Path, source: str) -> None:
    """Without the note, the next run writes tables, report and MLflow once more."""
    with suppress(OSError):
        write_text(SweepDir(sweep_dir).reported, source)


def _conditions(study: Study) -> Mapping[str, Any]:
    versions = {}
    packages = [*_PACKAGES, *(name for runtime in study.runtimes for name in runtime_of(runtime).distributions)]
    for name in dict.fromkeys(packages):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "command": " ".join(sys.argv),
        "versions": versions,
    }
