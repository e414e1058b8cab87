"""What can be asked without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.outcome import SweepOutcome
from sweep.errors import LedgerError
from sweep.plan.planner import Plan, make_plan
from sweep.run.ledger import read_ledger
from sweep.run.outcome import sweep_outcome
from sweep.study import gate
from sweep.study.cluster import Cluster
from sweep.study.spec import Study

if TYPE_CHECKING:
    import pyarrow

__all__ = ["finished_seconds", "load_cluster", "load_study", "open_results", "outcome_of", "plan"]


def load_study(path: Path | str) -> Study:
    """A study file, checked.

    Raises:
        StudyError: one line with file, key, value and what is allowed.
    """
    return gate.load_study(Path(path))


def load_cluster(path: Path | str) -> Cluster:
    """A cluster file, checked.

    Raises:
        StudyError: one line with file, key, value and what is allowed.
    """
    return gate.load_cluster(Path(path))


def plan(study: Study, cluster: Cluster) -> Plan:
    """The stages of a study on a cluster, shared ones merged.

    Raises:
        StudyError: the study does not go with the cluster.
    """
    return make_plan(study, cluster)


def outcome_of(sweep_dir: Path, study: Study, cluster: Cluster) -> SweepOutcome:
    """How a sweep stands, read from its folder; also while it runs.

    Raises:
        LedgerError: the folder is not a sweep directory.
    """
    return sweep_outcome(study, make_plan(study, cluster), read_ledger(sweep_dir), sweep_dir)


def open_results(sweep_dir: Path | str) -> pyarrow.Table:
    """The results table of a sweep, one row a cell.

    Raises:
        RecordError: there is none.
    """
    from sweep.record.tables import read_results

    return read_results(Path(sweep_dir))


def finished_seconds(sweep_dir: Path) -> Mapping[str, float]:
    """Seconds of each finished stage of a sweep directory, by id; empty where there is no sweep yet."""
    try:
        return {stage_id: done.seconds for stage_id, done in read_ledger(sweep_dir).done.items()}
    except LedgerError:
        if (sweep_dir / "ledger.jsonl").exists():
            raise
        return {}
