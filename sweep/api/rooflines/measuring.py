"""Measures the roofs of a sweep's devices and the layers of its fastest compiled cells, and renews its report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from sweep.analysis.outcome import MEASURED
from sweep.api.overlay.stage_runner import Failure, StageRunner, Watcher, Work
from sweep.api.session.engine_session import EngineSession
from sweep.api.session.reporting import current_outcome, write_report_of
from sweep.api.session.single_stage import device_of
from sweep.api.session.table_cache import known_runs, known_server
from sweep.errors import PlanError, StudyError, in_one_line
from sweep.files.maker import loads
from sweep.files.sweep_dir import SweepDir
from sweep.planning.kinds import inputs_by_role, kind_of
from sweep.planning.results.compiling import BuildResult, LowerResult
from sweep.planning.results.stage_result import StageResult, input_of
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.planning.stage_id import stage_of
from sweep.planning.stages import roofline_stages as roofline
from sweep.running.contract import Engine
from sweep.running.ledger.ledger import Ledger, LedgerState
from sweep.running.ledger.saved_plan import restore
from sweep.study.cluster.cluster import Cluster, Device
from sweep.study.selection import parse_selection

__all__ = ["Rooflines", "measure_rooflines"]


@dataclass(frozen=True, slots=True)
class Rooflines:
    """The rooflines of a sweep."""

    rows: Sequence[Mapping[str, Any]]
    """One a cell, as `sweep.analysis.rooflines` makes it."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why a cell has none, by its name."""


def measure_rooflines(folder: Path | str, cluster: Cluster, watcher: Watcher, only: str | None = None) -> Rooflines:
    """Measure what is missing, once a device and a cell; the report has it from then on.

    only: of these cells the fastest of each model, batch and device, as in `model=res*`; by default of all that are
    compiled. What is measured here is in the sweep's ledger, and its report is written anew.

    Raises:
        StudyError: there is no such cell, or the cluster has not its device.
        LedgerError: a run has the folder, or it is no sweep directory.
        DeviceLost: a device does not come up, or stays away.
    """
    home = Path(folder).absolute()
    SweepDir(home).require_as("DIR")
    chosen = _fastest(home, only)
    plan, study = restore(home).plan, restore(home).study
    planned = {one.cell.id: one for one in plan.cells}
    failures: dict[str, str] = {}
    with ExitStack() as closing:
        ledger = closing.enter_context(Ledger(home))
        state = ledger.state
        devices = {cell.device: device_of(cluster, cell.device, "--cluster") for cell in _cells(chosen, planned)}
        alone = replace(cluster, devices=tuple(devices.values()))
        watched = {
            key: next(one.cell for one in map(planned.__getitem__, chosen) if one.cell.device == key) for key in devices
        }

        @cache
        def engine() -> Engine:
            import logging

            logging.getLogger(__name__).warning("%s", loads(f"libraries of {home}", home, state.conditions.get("host")))
            return closing.enter_context(EngineSession(alone, home))

        runner = StageRunner(home, study, ledger, watched, engine, watcher)
        roofs = [
            Work(stage_of(kind_of(roofline.DEVICE), roofline.device_roof(one)), one.key) for one in devices.values()
        ]
        _raise_any(runner.perform("roofs of devices", roofs, _keep))
        work = [_layers(home, plan, state, planned[cell], devices) for cell in chosen]
        lost = runner.perform("layers of networks", work, _keep)
        names = (planned[cell].cell.name for cell in chosen)
        pairs = zip(names, work, strict=True)
        failures = {name: str(lost[one.stage.id]) for name, one in pairs if one.stage.id in lost}
    write_report_of(home, len(plan.cells), known_runs(home), known_server(home))
    from sweep.analysis.rows.results import derive

    rows = derive(current_outcome(home)).summary.rooflines
    return Rooflines([row for row in rows if row["cell_id"] in chosen], failures)


def _fastest(home: Path, only: str | None) -> list[str]:
    """Ids of the fastest compiled cell of each model, batch and device."""
    from sweep.analysis.rows.column import CellFacts

    selection = None if only is None else parse_selection(only)
    best: dict[tuple[Any, ...], tuple[float, str]] = {}
    for outcome in current_outcome(home).cells:
        cell = outcome.cell
        latency = CellFacts.of(outcome).latency if outcome.status in MEASURED and cell.is_compiled else None
        if latency is None or (selection is not None and not selection.matches(cell)):
            continue
        place = (cell.model, cell.batch, cell.device)
        best[place] = min(best.get(place, (latency.median, cell.id)), (latency.median, cell.id))
    if not best:
        allowed = "a sweep with compiled cells that were measured"
        raise StudyError("has no cell for a roofline", key="DIR", value=only or str(home), allowed=allowed)
    return [cell_id for _, cell_id in best.values()]


def _cells(chosen: Sequence[str], planned: Mapping[str, PlannedCell]) -> list[Any]:
    return [planned[cell_id].cell for cell_id in chosen]


def _layers(home: Path, plan: Plan, state: LedgerState, planned: PlannedCell, devices: Mapping[str, Device]) -> Work:
    cell = planned.cell
    done = {stage_id: state.done[stage_id].result for stage_id in planned.stages if stage_id in state.done}
    try:
        build = next(plan.stages[stage_id] for stage_id, result in done.items() if isinstance(result, BuildResult))
        inputs = {**inputs_by_role(build, plan.stages), "build": build.id}
        lowered = input_of({role: state.done[need].result for role, need in inputs.items()}, "lower", LowerResult)
        text = (home / lowered.folder() / "lowering.json").read_text(encoding="utf-8")
        target = dict(json.loads(text)["options"]["target"])
    except (OSError, ValueError, KeyError, TypeError, StopIteration, PlanError) as error:
        problem = f"has no lowered network of {cell.name}, or none any more: {in_one_line(error)}"
        raise StudyError(problem, key="DIR", value=str(home), allowed="`sweep run` again, then this") from error
    tuned = state.done[inputs["tune"]].result if "tune" in inputs else None
    records = tuned.records_dir if isinstance(tuned, TuneResult) else None
    draft = roofline.layer_times(devices[cell.device], target, planned, inputs, records)
    below = [plan.stages[stage_id] for stage_id in dict.fromkeys(_below(plan, inputs["lower"]))]
    return Work(stage_of(kind_of(roofline.LAYERS), draft), cell.device, below)


def _below(plan: Plan, stage_id: str) -> list[str]:
    """A stage after all that it rests on."""
    return [*(below for need in plan.stages[stage_id].inputs for below in _below(plan, need)), stage_id]


def _keep(stage: Stage, result: StageResult) -> list[str]:
    return []


def _raise_any(failures: Mapping[str, Failure]) -> None:
    for failure in failures.values():
        raise failure.as_error()
