"""Gives a sweep the schedules of a baseline: a difference is then the compiler's, and no tuner's luck."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import LedgerUnwritable
from sweep.files.sweep_dir import SweepDir
from sweep.planning.kinds import place_of
from sweep.planning.results.tuning_result import TuneResult
from sweep.planning.stage import Plan
from sweep.planning.stage_kind import Place
from sweep.running.ledger.ledger import Ledger, read_ledger
from sweep.running.ledger.saved_plan import read_plan
from sweep.running.ledger.state import FinishedStage

__all__ = ["adopt_schedules"]


def adopt_schedules(plan: Plan, sweep_dir: Path, baseline: Path) -> int:
    """Enter the tuning of a baseline as that of the same cells here; returns of how many tune stages.

    Builds then take the baseline's schedules, and a tuner finds nothing to do. What was tuned here before stays.

    Raises:
        LedgerError: a ledger or plan cannot be read, or a run has the folder.
        LedgerUnwritable: the disk refuses.
    """
    tuned = _tuned(baseline)
    with Ledger(sweep_dir) as ledger:
        adopted: dict[str, FinishedStage] = {}
        for planned in plan.cells:
            for stage_id in planned.stages:
                is_wanted = place_of(plan.stages[stage_id]) is Place.TUNER and stage_id not in ledger.state.done
                if is_wanted and planned.cell.id in tuned:
                    adopted[stage_id] = tuned[planned.cell.id]
        for folder in {_records(one) for one in adopted.values()}:
            _copy(baseline / folder, sweep_dir / folder)
        for stage_id, done in adopted.items():
            about: dict[str, Any] = {"attempt": 1, "seconds": 0.0, "worker": "baseline"}
            ledger.append("stage_done", stage=stage_id, kind=done.kind, result=done.result.to_json(), **about)
    return len(adopted)


def _tuned(baseline: Path) -> Mapping[str, FinishedStage]:
    """The finished tuning of each cell of a sweep, by the id of the cell; none of what was cut short."""
    done = read_ledger(baseline).done
    found: dict[str, FinishedStage] = {}
    for cell in read_plan(baseline)["cells"]:
        for stage_id in cell["stages"]:
            one = done.get(stage_id)
            if one is not None and isinstance(one.result, TuneResult) and (baseline / _records(one)).is_dir():
                found[cell["id"]] = one
    return found


def _records(done: FinishedStage) -> str:
    assert isinstance(done.result, TuneResult)
    return done.result.records_dir


def _copy(source: Path, target: Path) -> None:
    """Files that are there stay: a run has written them."""
    try:
        for path in sorted(source.rglob("*")):
            place = target / path.relative_to(source)
            if path.is_file() and not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, place)
    except OSError as error:
        raise LedgerUnwritable(f"{SweepDir(target).path}: cannot be written: {error}") from error
