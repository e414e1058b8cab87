"""A compiled cell, or a tuning log that is compiled first, measured on another device than it was made for."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweep.analysis.formatting import as_bytes, as_latency
from sweep.analysis.measurements import repeats_of
from sweep.analysis.statistics import summarise
from sweep.api.session.engine_session import EngineSession
from sweep.api.session.single_stage import check_fit, device_of, measure_stage, perform_stage
from sweep.api.session.table_cache import refresh
from sweep.errors import StudyError
from sweep.files.line_log import append_line
from sweep.files.sweep_dir import SweepDir
from sweep.running.contract import Engine
from sweep.running.ledger.ledger import read_ledger
from sweep.running.ledger.saved_plan import read_plan
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.spec import NATIVE, TVM, Measure, Target

__all__ = ["Executed", "execute"]

_ALLOWED = "a folder of artifacts/build or of records below a sweep directory"


@dataclass(frozen=True, slots=True)
class Executed:
    """What came of it."""

    what: str
    device: str
    cell: str
    """The cell that it was made for."""
    result: Mapping[str, Any]
    """Of the measurement, as a measure stage has it."""
    artifact: Path

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        summary = summarise(repeats_of(self.result))
        return {
            "what": self.what,
            "device": self.device,
            "cell": self.cell,
            "artifact": str(self.artifact),
            "latency_ms_median": summary.median * 1e3,
            **{name: self.result.get(name) for name in ("run_secs", "number", "output_max_abs_diff", "conditions")},
            "tainted": self.result.get("tainted"),
        }

    def as_text(self) -> str:
        """For people."""
        summary = summarise(repeats_of(self.result))
        difference = self.result.get("output_max_abs_diff")
        lines = [
            f"{self.cell}, on {self.device}: {as_latency(summary)}",
            f"output: {'no reference' if difference is None else f'differs by at most {difference:.2g}'}",
            f"peak memory: {as_bytes(self.result.get('peak_memory_bytes'))}",
            f"library: {self.artifact}",
        ]
        return "\n".join([*lines, *(f"disturbed: {reason}" for reason in self.result.get("tainted") or ())])


def execute(what: Path | str, key: str, cluster: Cluster, *, measure: Measure | None = None) -> Executed:
    """Measure an artifact, or compile a log for the device and measure that; kept in `exec.jsonl` of its sweep.

    what: `artifacts/build/ID`, or `records/TARGET/TUNER-DEVICE`, of a sweep directory. The output is compared with the
    reference of the sweep's own import.

    Raises:
        StudyError: there is no such thing or device, or the code cannot run on it.
        SweepError: compiling or measuring failed.
    """
    device = device_of(cluster, key, "--key")
    made = _find(Path(what))
    alone = replace(cluster, devices=(device,), engine="inline")
    if made.kind == "build":
        check_fit(json.loads(made.results["build"]["target_json"]), device, "--key")
    with EngineSession(alone, made.sweep_dir) as engine:
        built = made.results["build"] if made.kind == "build" else _compile(engine, made, device)
        measured = _measure(engine, made, device, built, measure or Measure())
    done = Executed(str(what), key, made.cell, measured, made.sweep_dir / built["dir"] / "lib.so")
    append_line(SweepDir(made.sweep_dir).executions, json.dumps({"t": time.time(), **done.as_dict()}))
    return done


@dataclass(frozen=True, slots=True)
class _Made:
    """Something that a sweep has made, with the first cell that it is of."""

    sweep_dir: Path
    kind: str
    """build or tune."""
    cell: str
    axes: Mapping[str, Any]
    """Of the cell: its row of the results."""
    results: Mapping[str, Mapping[str, Any]]
    """Of the cell's stages, by kind."""


def _find(what: Path) -> _Made:
    folder = (what.parent if what.name == "lib.so" else what).resolve()
    sweep_dir = folder.parent.parent.parent
    if not SweepDir(sweep_dir).is_sweep or not folder.is_dir():
        raise StudyError("is nothing that can be measured", key="WHAT", value=str(what), allowed=_ALLOWED)
    relative = folder.relative_to(sweep_dir).as_posix()
    done = read_ledger(sweep_dir).done
    for cell in read_plan(sweep_dir)["cells"]:
        results = {done[stage].kind: done[stage].result for stage in cell["stages"] if stage in done}
        for kind, name in (("build", "dir"), ("tune", "records_dir")):
            if kind in results and results[kind].get(name) == relative:
                return _Made(sweep_dir, kind, cell["name"], _axes(sweep_dir, cell["id"]), results)
    raise StudyError("is of no cell of its sweep", key="WHAT", value=str(what), allowed=_ALLOWED)


def _compile(engine: Engine, made: _Made, device: Device) -> Mapping[str, Any]:
    """Lower the network for the device's own target and build it with the log's schedules."""
    target = Target(NATIVE, {"kind": NATIVE}).on(device)
    options = {name: made.axes[name] for name in ("opt_level", "layout", "precision")} | {"target": target}
    lowered = perform_stage(engine, "lower", options, {"import": made.results["import"]}, device)
    records = made.results["tune"]
    inputs = {"lower": lowered, "tune": records}
    return perform_stage(engine, "build", {"target": target, "records": records["records_dir"]}, inputs, device)


def _measure(
    engine: Engine, made: _Made, device: Device, built: Mapping[str, Any], measure: Measure
) -> Mapping[str, Any]:
    options = measure_stage(TVM, str(made.axes["precision"]), device, measure)
    return perform_stage(engine, "measure", options, {"import": made.results["import"], "build": built}, device)


def _axes(sweep_dir: Path, cell_id: str) -> Mapping[str, Any]:
    from sweep.record.parquet_tables import read_results

    refresh(sweep_dir)
    rows = read_results(sweep_dir).to_pylist()
    return next(row for row in rows if row["cell_id"] == cell_id)
