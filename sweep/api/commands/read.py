"""Answers questions about plans and sweeps without running anything."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.formatting import plural
from sweep.analysis.outcome import SweepOutcome
from sweep.api.inspecting.dataset_check import check_datasets
from sweep.api.inspecting.named_layers_check import check_layer_names
from sweep.api.inspecting.saved_table_check import check_saved_tables
from sweep.api.session.claim import check, default_sweep_dir
from sweep.api.session.resumed import done_again, remembered
from sweep.api.session.table_cache import readable_table, refresh
from sweep.api.written_studies.study_document import as_document
from sweep.errors import StudyError
from sweep.files.atomic import write_text
from sweep.files.sweep_dir import SELDOM_TABLES, TABLES, SweepDir
from sweep.planning import summary
from sweep.planning.narrowing import narrowed
from sweep.planning.planner import make_plan
from sweep.planning.results.compiling import ImportResult, LowerResult
from sweep.planning.sharing.large_grids import counted_if_large
from sweep.planning.stage import Plan
from sweep.planning.summary import PlanSummary
from sweep.running.ledger.ledger import FinishedStage, LedgerState, is_held, read_ledger
from sweep.running.ledger.saved_plan import restore
from sweep.running.ledger.sweep_outcome import cell_outcome, sweep_outcome
from sweep.study import gate
from sweep.study.cluster.cluster import Cluster
from sweep.study.selection import parse_selection
from sweep.study.spec import Study

if TYPE_CHECKING:
    import pyarrow

__all__ = [
    "Standing",
    "explain",
    "finished_stages",
    "load_cluster",
    "load_study",
    "open_results",
    "open_table",
    "outcome_of",
    "plan",
    "save_study",
    "standing",
]


def load_study(study: Path | str | Mapping[str, Any], folder: Path | str | None = None) -> Study:
    """A study file, checked; or a mapping with the keys of one, whose relative paths start at `folder`, by default the
    current one.

    Raises:
        StudyError: one line with file, line, key, value and what is allowed.
    """
    if isinstance(study, Mapping):
        return gate.study_of(study, Path.cwd() if folder is None else Path(folder).absolute())
    return gate.load_study(Path(study))


def save_study(study: Study, path: Path | str) -> Path:
    """Write a study into a file, which `sweep run` takes: every option of it, and the paths of its models from there.

    Raises:
        StudyError: the file cannot be written.
    """
    import yaml

    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, yaml.safe_dump(as_document(study, path.parent), sort_keys=False, allow_unicode=True))
    except OSError as error:
        raise StudyError(f"cannot be written: {error.strerror}", file=path) from error
    return path


def load_cluster(path: Path | str | None = None) -> Cluster:
    """A cluster file, checked; of no file, one device `here` on the last core of this machine.

    Raises:
        StudyError: one line with file, key, value and what is allowed.
    """
    return gate.local_cluster() if path is None else gate.load_cluster(Path(path))


def plan(study: Study, cluster: Cluster, *, only: str | None = None) -> Plan:
    """The stages of a study on a cluster, shared ones merged. `only`: those of some cells, as `tuner=xgb,model=res*`.

    Raises:
        StudyError: the study does not go with the cluster, or `only` fits no cell.
    """
    whole = make_plan(study, cluster)
    check_layer_names(study, whole)
    check_saved_tables(study, whole)
    check_datasets(study)
    return whole if only is None else narrowed(whole, parse_selection(only))


def outcome_of(sweep_dir: Path | str, study: Study, cluster: Cluster) -> SweepOutcome:
    """How a sweep stands, read from its folder; also while it runs.

    Raises:
        LedgerError: the folder is not a sweep directory.
    """
    folder = Path(sweep_dir)
    return sweep_outcome(make_plan(study, cluster), study.question, read_ledger(folder), folder)


def open_results(sweep_dir: Path | str) -> pyarrow.Table:
    """The results table of a sweep, one row a cell; made anew where it is not of what the ledger holds now.

    Raises:
        RecordError: there is none, and none can be made.
        LedgerError: the ledger is damaged.
    """
    return open_table(sweep_dir, "results")


def finished_stages(sweep_dir: Path) -> Mapping[str, FinishedStage]:
    """The finished stages of a sweep directory, by id; empty where there is no sweep yet.

    Raises:
        LedgerError: the ledger is damaged.
    """
    return _state_of(sweep_dir).done


def _state_of(sweep_dir: Path) -> LedgerState:
    return read_ledger(sweep_dir) if SweepDir(sweep_dir).is_sweep else LedgerState()


def explain(study: Study, cluster: Cluster, *, out: Path | str | None = None, only: str | None = None) -> PlanSummary:
    """What a run of a study would do: cells, stages by kind, what a sweep directory has of them already, and the cost.

    `out`: the sweep directory, by default `sweeps/<study>`. `only`: some cells, as of `plan`.

    Raises:
        StudyError: the folder holds something else, the study does not go with the cluster, or `only` fits no cell.
        LedgerError: the ledger there is damaged.
    """
    sweep_dir = Path(out or default_sweep_dir(study))
    check(sweep_dir, study)
    state = _state_of(sweep_dir)
    finished = state.done
    if only is None and not finished and (counted := counted_if_large(study, cluster)) is not None:
        check_datasets(study)  # which `plan` does below
        return summary.explain_counted(counted)
    chosen = plan(study, cluster, only=only)
    return summary.explain(
        chosen,
        done={stage_id: stage.seconds for stage_id, stage in finished.items()},
        lowered={
            stage_id: stage.result.tasks
            for stage_id, stage in finished.items()
            if isinstance(stage.result, LowerResult)
        },
        again=[str(one) for one in done_again(chosen, remembered(sweep_dir, state), state)],
    )


def open_table(sweep_dir: Path | str, table: str) -> pyarrow.Table:
    """One of the tables of a sweep: results, measurements, curves, tasks or records; made anew as `open_results` does.

    Raises:
        StudyError: there is no table of that name.
        RecordError: the sweep does not have it.
        LedgerError: the ledger is damaged.
    """
    if table not in {**TABLES, **SELDOM_TABLES}:
        raise StudyError(
            "is no table of a sweep", key="table", value=table, allowed=", ".join([*TABLES, *SELDOM_TABLES])
        )
    refresh(sweep_dir)
    return readable_table(Path(sweep_dir), table)


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a sweep, by its plan and ledger: cells by status, stages by state, the running driver."""

    study: str
    status: str
    """running, done, failed, stopped, interrupted, or lost (the driver ended without a word)."""
    cells: Mapping[str, int]
    """By status."""
    stages: Mapping[str, Mapping[str, int]]
    """By kind, then by status."""
    failures: Mapping[str, str]
    """Label of a failed stage -> its reason."""
    since_last_event_s: float
    unchecked: Mapping[str, str] = field(default_factory=dict)
    """Label of an import without expected outputs -> why; the cells of that network are compared with nothing."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    def as_line(self) -> str:
        """For people who read a log: the same line where nothing has happened since."""
        cells = ", ".join(f"{count} {name}" for name, count in self.cells.items() if count)
        ended = sum(counts.get("done", 0) + counts.get("failed", 0) for counts in self.stages.values())
        total = sum(sum(counts.values()) for counts in self.stages.values())
        return f"{self.study}: {self.status}; {cells}; {ended}/{total} stages"

    def next_steps(self) -> list[str]:
        """What to type where cells are open, and what it does."""
        steps = []
        if self.status in ("interrupted", "lost", "stopped"):
            steps.append("the same `sweep run` again does what is missing")
        if self.status != "running" and (tainted := self.cells.get("tainted")):
            steps.append(f"`sweep run STUDY --retry-tainted` measures {plural(tainted, 'tainted cell')} again")
        if self.status != "running" and (failed := self.cells.get("failed")):
            steps.append(f"`sweep run STUDY --retry-failed` tries {plural(failed, 'failed cell')} again")
        return steps

    def as_text(self) -> str:
        """For people."""
        cells = ", ".join(f"{count} {name}" for name, count in self.cells.items() if count)
        lines = [f"{self.study}: {self.status}; {cells}; last event {self.since_last_event_s:.0f} s ago"]
        for kind, counts in self.stages.items():
            shown = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            lines.append(f"  {kind:<8} {shown}")
        lines.extend(f"  failed: {label}: {reason}" for label, reason in self.failures.items())
        lines.extend(f"  not compared: {label}: {reason}" for label, reason in self.unchecked.items())
        lines.extend(f"  next: {step}" for step in self.next_steps())
        return "\n".join(lines)


def standing(sweep_dir: Path | str) -> Standing:
    """Where a sweep stands; also while it runs, and on a machine that only sees its folder.

    Raises:
        LedgerError: the folder is not a sweep directory.
    """
    sweep_dir = Path(sweep_dir)
    state = read_ledger(sweep_dir)
    sweep = restore(sweep_dir)
    status = state.last_status or ("running" if _has_driver(sweep_dir) else "lost")
    stages: dict[str, Counter[str]] = {}
    for stage in sweep.plan.stages.values():
        stages.setdefault(stage.kind, Counter())[_stage_status(stage.id, state, status)] += 1
    return Standing(
        study=sweep.study,
        status=status,
        cells=dict(Counter(cell_outcome(sweep.plan, planned, state).status for planned in sweep.plan.cells)),
        stages={kind: dict(counts) for kind, counts in stages.items()},
        failures={
            sweep.plan.stages[stage_id].label: f"{failed.error_class}: {failed.error}"
            for stage_id, failed in state.failed.items()
            if stage_id in sweep.plan.stages
        },
        since_last_event_s=max(0.0, time.time() - (state.last_t or time.time())),
        unchecked=dict(_unchecked(sweep.plan, state)),
    )


def _unchecked(plan: Plan, state: LedgerState) -> Iterator[tuple[str, str]]:
    """Imports that nothing can be compared with."""
    for stage in plan.stages.values():
        result = state.done[stage.id].result if stage.id in state.done else None
        if isinstance(result, ImportResult) and not result.reference:
            yield stage.label, result.reference_error or "it has no expected output"


def _has_driver(sweep_dir: Path) -> bool:
    """Whether a driver is at work. Of one on another machine the lock is not seen everywhere: its word must do."""
    try:
        if is_held(sweep_dir):
            return True
    except OSError:
        pass  # a folder that can only be read
    try:
        holder = json.loads(SweepDir(sweep_dir).holder.read_text(encoding="utf-8"))
        return bool(holder["host"] != socket.gethostname())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _stage_status(stage_id: str, state: LedgerState, status: str) -> str:
    if stage_id in state.done:
        return "done"
    if stage_id in state.failed:
        return "failed"
    return "running" if stage_id in state.started and status == "running" else "pending"
