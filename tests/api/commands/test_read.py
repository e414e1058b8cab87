"""Where a sweep stands, by its folder alone."""

from __future__ import annotations

import json
from pathlib import Path

from sweep.api.commands.read import standing
from sweep.planning.stage import Plan, PlannedCell, Stage
from sweep.running.ledger.ledger import Ledger
from sweep.study.spec import Cell


def write_plan(sweep_dir: Path, plan: Plan) -> None:
    cells = [
        {"id": one.cell.id, "name": one.cell.name, **one.cell.to_json(), "stages": list(one.stages)}
        for one in plan.cells
    ]
    stages = {key: {"kind": one.kind, "label": one.label, "inputs": []} for key, one in plan.stages.items()}
    told = {"study": plan.study_name, "question": "", "models": {}, "cells": cells, "stages": stages}
    (sweep_dir / "plan.json").write_text(json.dumps({**told, "naive_stages": {}}))


def test_what_a_killed_driver_had_under_way_does_not_run(tmp_path: Path) -> None:
    write_plan(tmp_path, Plan("s", [], {"a": Stage("a", "tune", {}, {}, (), "tune a")}, {}))
    with Ledger(tmp_path) as ledger:
        ledger.append("run_started", conditions={})
        ledger.append("attempt_started", stage="a", kind="tune", attempt=1)
        now = standing(tmp_path)
        assert (now.status, now.stages) == ("running", {"tune": {"running": 1}})
    after = standing(tmp_path)
    assert (after.status, after.stages) == ("lost", {"tune": {"pending": 1}})


def test_what_a_stopped_run_was_not_for_is_pending_and_what_it_was_for_is_skipped(tmp_path: Path) -> None:
    names = ("a", "b", "c")
    cells = [PlannedCell(Cell(name, "native", "none", 1, "NCHW", "float32", 1, "d0", "tvm"), (name,)) for name in names]
    stages = {name: Stage(name, "measure", {}, {}, (), f"measure {name}") for name in names}
    write_plan(tmp_path, Plan("s", cells, stages, {}))
    with Ledger(tmp_path) as ledger:
        ledger.append("run_started", conditions={}, only="model=a|b")
        ledger.append("stage_done", stage="a", kind="measure", attempt=1, result={}, seconds=1.0, worker="w")
        ledger.append("run_ended", status="stopped", reason="no time left")
    assert standing(tmp_path).cells == {"done": 1, "skipped": 1, "pending": 1}
