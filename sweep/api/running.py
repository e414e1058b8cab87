"""Running a study from file to report."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.outcome import MEASURED, SweepOutcome
from sweep.analysis.results import Results, derive
from sweep.api.engine_room import EngineRoom
from sweep.api.folder import claim, write_inputs
from sweep.api.observing import Mirrored, Shown
from sweep.api.warm_start import with_warm_start
from sweep.errors import RecordError
from sweep.planning.planner import make_plan
from sweep.planning.stage import Plan
from sweep.running.driver import Observer, RunOptions, drive, settled_failures, usable_results
from sweep.running.ledger import Ledger
from sweep.running.outcome import cell_outcome, sweep_outcome
from sweep.running.policy import RetryPolicy
from sweep.study.cluster import Cluster
from sweep.study.spec import Study

if TYPE_CHECKING:
    from sweep.record.mlflow_mirror import MlflowMirror
    from sweep.report.live import ProgressView

__all__ = ["SweepRun", "default_sweep_dir", "run"]

_PACKAGES = ("apache-tvm", "apache-tvm-ffi", "ray", "mlflow", "onnx", "onnxruntime", "xgboost-cpu", "numpy")
_REPORTED = Path("report") / ".source"
"""What the report was made from, as `sweep.record.source` says; written after it."""


@dataclass(frozen=True, slots=True)
class SweepRun:
    """How a run ended."""

    status: str
    """done, failed (some cells), stopped or interrupted."""
    executed: int
    """Attempts that ended in this run; 0 when nothing was missing."""
    outcome: SweepOutcome
    results: Results


def default_sweep_dir(study: Study) -> Path:
    """`sweeps/<study>` in the current folder."""
    return Path("sweeps") / study.name


def run(
    study: Study,
    cluster: Cluster,
    *,
    out: Path | str | None = None,
    fresh: bool = False,
    options: RunOptions | None = None,
    view: ProgressView | None = None,
    warm_start: Sequence[Path] = (),
) -> SweepRun:
    """Run what is missing of a study, and write its tables, MLflow runs and report.

    `out`: the sweep directory, `sweeps/<study>` where it is not given; `fresh` moves what is there aside first.
    `view` shows progress. `warm_start`: sweep directories, stores of records or native MetaSchedule databases whose
    schedules the tuners begin with.

    Raises:
        StudyError: the folder holds something else, or the study does not go with the cluster.
        LedgerError: another run has the folder, or the disk refuses.
        DeviceLost: the tracker or a local server does not come up.
        EngineError: Ray cannot be started or reached.
    """
    sweep_dir = Path(out or default_sweep_dir(study)).absolute()
    options = options or RunOptions()
    plan = make_plan(study, cluster)
    if warm_start:
        plan = with_warm_start(plan, warm_start, sweep_dir)
    claim(sweep_dir, study, fresh=fresh)
    with ExitStack() as closing:
        ledger = closing.enter_context(Ledger(sweep_dir))
        write_inputs(sweep_dir, study, plan)
        status, executed = "done", 0
        if _is_missing_something(plan, ledger, sweep_dir, options):
            mirror = _open_mirror(study, cluster, ledger, sweep_dir)
            observers: list[Observer] = [Mirrored(mirror, plan, ledger)] if mirror is not None else []
            if view is not None:
                observers.append(Shown(view, plan, ledger))
            with EngineRoom(cluster, sweep_dir) as engine:
                ended = drive(
                    plan, engine, ledger, sweep_dir, observers=observers, options=options, conditions=_conditions()
                )
            status, executed = ended.status, ended.executed
        elif _is_reported(sweep_dir):
            outcome = sweep_outcome(plan, study.question, ledger.state, sweep_dir)
            return SweepRun(_status_of(outcome), 0, outcome, _saved_or_derived(outcome))
        else:
            mirror = _open_mirror(study, cluster, ledger, sweep_dir)
        outcome = sweep_outcome(plan, study.question, ledger.state, sweep_dir)
        if status in ("done", "failed"):
            status = _status_of(outcome)
        results = _record(outcome, plan, ledger, mirror, status)
        return SweepRun(status, executed, outcome, results)


def _is_missing_something(plan: Plan, ledger: Ledger, sweep_dir: Path, options: RunOptions) -> bool:
    """Whether any cell lacks an answer that another run could give."""
    done = usable_results(ledger, sweep_dir, options)
    failed = set(settled_failures(ledger, RetryPolicy(), options))
    return any(cell.stages[-1] not in done and not failed.intersection(cell.stages) for cell in plan.cells)


def _is_reported(sweep_dir: Path) -> bool:
    """Whether tables and report are of the ledger's last line, and of this plan."""
    from sweep.record.source import is_current, source_of

    try:
        reported = (sweep_dir / _REPORTED).read_text(encoding="utf-8")
    except OSError:
        return False
    return reported == source_of(sweep_dir) and is_current(sweep_dir)


def _status_of(outcome: SweepOutcome) -> str:
    """A tainted cell has not failed: it was measured, and says what it is worth."""
    return "done" if all(cell.status in MEASURED for cell in outcome.cells) else "failed"


def _saved_or_derived(outcome: SweepOutcome) -> Results:
    from sweep.record.tables import read_saved

    saved = read_saved(outcome.sweep_dir)
    if {row["cell_id"] for row in saved.cells} == {cell.cell.id for cell in outcome.cells}:
        return saved
    return derive(outcome)


def _open_mirror(study: Study, cluster: Cluster, ledger: Ledger, sweep_dir: Path) -> MlflowMirror | None:
    """The mirror, or None (with a warning) when its store is away: the sweep goes on, the ledger has everything."""
    from sweep.record.mlflow_mirror import MlflowMirror, SweepIdentity

    uri = cluster.mlflow_uri
    mirror = (
        MlflowMirror.embedded(sweep_dir, study.name, study.question)
        if uri is None
        else MlflowMirror(uri, None, study.name, study.question)
    )
    identity = SweepIdentity(
        # The embedded store is this sweep's alone and moves with it
        id=_sweep_id(sweep_dir) if uri is not None else study.name,
        name=sweep_dir.name,
        sweep_dir=sweep_dir,
        started_t=ledger.state.first_t or _now(),
        tags=_conditions()["versions"],
    )
    try:
        mirror.open(identity)
    except RecordError as error:
        logging.getLogger(__name__).warning("nothing is written to MLflow in this run: %s", error)
        return None
    return mirror


def _record(outcome: SweepOutcome, plan: Plan, ledger: Ledger, mirror: MlflowMirror | None, status: str) -> Results:
    """Tables, report, then MLflow."""
    from sweep.record.source import source_of
    from sweep.record.tables import write_tables
    from sweep.report.writing import write_report

    if mirror is not None:
        _mirror_cells(plan, ledger, mirror)
    results = derive(outcome, mirror.run_ids if mirror is not None else None)
    source = source_of(outcome.sweep_dir)
    tables = write_tables(results, outcome.sweep_dir, source)
    report = write_report(results, outcome.sweep_dir)
    with suppress(OSError):  # the next run writes the report once more
        (outcome.sweep_dir / _REPORTED).write_text(source, encoding="utf-8")
    if mirror is not None:
        files = {"results": tables, "report": report, "tuning_logs": _tuning_logs(outcome.sweep_dir)}
        try:
            mirror.record_results(results, files)
            mirror.close(status)
        except RecordError as error:
            logging.getLogger(__name__).warning("MLflow has not taken everything: %s", error)
    return results


def _mirror_cells(plan: Plan, ledger: Ledger, mirror: MlflowMirror) -> None:
    """Whatever the mirror missed while the run went on."""
    try:
        for planned in plan.cells:
            outcome = cell_outcome(plan, planned, ledger.state)
            if outcome.status != "pending":
                mirror.record_cell(outcome)
    except RecordError as error:
        logging.getLogger(__name__).warning("MLflow has not taken all cells: %s", error)


def _tuning_logs(sweep_dir: Path) -> list[Path]:
    return sorted(path for path in (sweep_dir / "records").glob("*/*") if path.is_dir())


def _sweep_id(sweep_dir: Path) -> str:
    """The same for all runs of one sweep directory, another for another."""
    return hashlib.sha256(f"{platform.node()}:{sweep_dir}".encode()).hexdigest()[:16]


def _now() -> float:
    import time

    return time.time()


def _conditions() -> Mapping[str, Any]:
    versions = {}
    for name in _PACKAGES:
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
