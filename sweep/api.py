"""The public API: what the command line does, as functions.

    study = sweep.load_study("experiments/quickstart.yaml")
    cluster = sweep.load_cluster("clusters/local.yaml")
    outcome = sweep.run(study, cluster)
    sweep.open_results(outcome.sweep_dir).to_pandas()
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.analysis.outcome import SweepOutcome
from sweep.errors import StudyError
from sweep.plan.planner import Plan, make_plan
from sweep.run.contract import Engine
from sweep.run.driver import Observer, RunOptions, drive, settled_failures, usable_results
from sweep.run.ledger import Ledger, read_ledger
from sweep.run.outcome import sweep_outcome
from sweep.run.policy import RetryPolicy
from sweep.study.cluster import Cluster
from sweep.study.spec import Study

if TYPE_CHECKING:
    import pyarrow

__all__ = ["SweepRun", "default_sweep_dir", "open_results", "outcome_of", "plan", "run"]


@dataclass(frozen=True, slots=True)
class SweepRun:
    """How a run ended."""

    status: str
    """done, failed (some cells), stopped or interrupted."""
    executed: int
    """Attempts made; 0 when nothing was missing."""
    outcome: SweepOutcome


def default_sweep_dir(study: Study) -> Path:
    """`sweeps/<study>` in the current folder."""
    return Path("sweeps") / study.name


def plan(study: Study, cluster: Cluster) -> Plan:
    """The stages of a study on a cluster, shared ones merged."""
    return make_plan(study, cluster)


def run(
    study: Study,
    cluster: Cluster,
    *,
    out: Path | None = None,
    fresh: bool = False,
    options: RunOptions | None = None,
    observers: Callable[[Plan, Ledger], Sequence[Observer]] | None = None,
) -> SweepRun:
    """Run what is missing of a study, and write its tables, MLflow runs and report.

    `fresh` moves what an earlier run left in the folder aside. `observers` makes what is to be told of progress.

    Raises:
        StudyError: the folder holds a different study.
        LedgerError: another run has the folder, or the disk refuses.
        DeviceLost: the tracker or a local server does not come up.
    """
    sweep_dir = (out or default_sweep_dir(study)).absolute()
    options = options or RunOptions()
    todo = make_plan(study, cluster)
    _claim(sweep_dir, study, fresh=fresh)
    with ExitStack() as closing:
        ledger = closing.enter_context(Ledger(sweep_dir))
        _write_inputs(sweep_dir, study, todo)
        policy = RetryPolicy()
        if not _missing(todo, ledger, sweep_dir, policy, options):
            outcome = sweep_outcome(study, todo, ledger.state, sweep_dir)
            return SweepRun(_status_of(outcome), 0, outcome)
        told = [] if observers is None else list(observers(todo, ledger))
        engine = closing.enter_context(_EngineRoom(cluster, sweep_dir))
        ended = drive(
            todo, engine, ledger, sweep_dir, observers=told, options=options, policy=policy, conditions=_conditions()
        )
        return SweepRun(ended.status, ended.executed, sweep_outcome(study, todo, ledger.state, sweep_dir))


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


class _EngineRoom:
    """Farm and engine for the time of a run: started in this order, closed in the other."""

    def __init__(self, cluster: Cluster, sweep_dir: Path) -> None:
        self._cluster, self._sweep_dir = cluster, sweep_dir
        self._closing = ExitStack()

    def __enter__(self) -> Engine:
        with self._closing:
            engine = self._open()
            self._closing = self._closing.pop_all()
            return engine

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def _open(self) -> Engine:
        cluster = self._cluster
        if cluster.engine == "simulated":
            from sweep.engine.simulated import SimulatedEngine

            return SimulatedEngine(cluster)
        from sweep.devices.farm import Farm
        from sweep.engine.site import Site, compile_cores_of

        compile_cores, shares_cores = compile_cores_of(cluster)
        farm = Farm(cluster, self._sweep_dir / "farm")
        self._closing.callback(farm.down)
        address = farm.up()
        affinity = os.sched_getaffinity(0)
        os.sched_setaffinity(0, compile_cores)  # the driver and all it starts from here on leave the devices' cores alone
        self._closing.callback(os.sched_setaffinity, 0, affinity)
        site = Site(
            sweep_dir=self._sweep_dir,
            lock_dir=farm.lock_dir,
            tracker_host=address.tracker_host,
            tracker_port=address.tracker_port,
            devices={device.key: device for device in cluster.devices},
            compile_cores=compile_cores,
            shares_cores=shares_cores,
        )
        if cluster.engine == "inline":
            from sweep.engine.inline import InlineEngine

            inline = InlineEngine(site)
            self._closing.callback(inline.close)
            return inline
        from sweep.engine.ray_session import RaySession

        cpus = cluster.ray.num_cpus or len(compile_cores)
        session = RaySession(
            cluster.ray.address, cpus, {f"device:{device.key}": float(device.count) for device in cluster.devices}
        )
        self._closing.callback(session.close)
        from sweep.engine.ray_engine import RayEngine

        engine = RayEngine(site, session, num_cpus=cpus)
        self._closing.callback(engine.close)
        return engine


def _claim(sweep_dir: Path, study: Study, *, fresh: bool) -> None:
    """Make sure the folder is this study's, or free."""
    if sweep_dir.exists() and not sweep_dir.is_dir():
        raise StudyError("is not a folder", key="--out", value=str(sweep_dir), allowed="a new or a sweep's folder")
    marker = sweep_dir / "plan.json"
    if not (sweep_dir / "ledger.jsonl").exists():
        if sweep_dir.is_dir() and any(p.name not in ("ledger.lock",) for p in sweep_dir.iterdir()) and not marker.exists():
            raise StudyError(
                "holds other things", key="--out", value=str(sweep_dir), allowed="a new, an empty or a sweep's folder"
            )
        return
    if fresh:
        with Ledger(sweep_dir):  # refuses when a run has it
            pass
        aside = _free_name(sweep_dir)
        sweep_dir.rename(aside)
        return
    if marker.is_file():
        name = json.loads(marker.read_text(encoding="utf-8")).get("study")
        if name != study.name:
            raise StudyError(
                f"holds the sweep of study {name!r}", key="--out", value=str(sweep_dir), allowed=f"one of {study.name!r}"
            )


def _free_name(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.old-{number}")).exists():
        number += 1
    return aside


def _write_inputs(sweep_dir: Path, study: Study, todo: Plan) -> None:
    if study.path.is_file() and study.path.resolve() != (sweep_dir / "study.yaml").resolve():
        shutil.copyfile(study.path, sweep_dir / "study.yaml")
    cells = [{"id": p.cell.id, "name": p.cell.name, "stages": list(p.stages)} for p in todo.cells]
    stages = {s.id: {"kind": s.kind, "label": s.label, "inputs": list(s.inputs)} for s in todo.stages.values()}
    text = json.dumps({"study": study.name, "cells": cells, "stages": stages, "naive": dict(todo.naive)})
    temporary = sweep_dir / "plan.json.part"
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(sweep_dir / "plan.json")


def _missing(todo: Plan, ledger: Ledger, sweep_dir: Path, policy: RetryPolicy, options: RunOptions) -> bool:
    """Whether any cell lacks an answer that another run could give."""
    done = usable_results(ledger, sweep_dir)
    failed = set(settled_failures(ledger, policy, options))
    return any(
        planned.stages[-1] not in done and not failed.intersection(planned.stages) for planned in todo.cells
    )


def _status_of(outcome: SweepOutcome) -> str:
    return "done" if all(cell.status == "done" for cell in outcome.cells) else "failed"


def _conditions() -> Mapping[str, Any]:
    versions = {}
    for name in ("apache-tvm", "apache-tvm-ffi", "ray", "mlflow", "onnx", "onnxruntime", "xgboost", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "versions": versions,
        "command": " ".join(sys.argv),
    }
