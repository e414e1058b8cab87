from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from sweep.api.session.progress_observer import ProgressObserver
from sweep.planning.planner import make_plan
from sweep.report.live.progress_view import PlainProgress
from sweep.running.ledger.ledger import Ledger
from sweep.study.grid import LeftOut
from tests.planning import grids


def test_tune_stages_that_share_a_tuner_are_told_of_together(tmp_path: Path) -> None:
    study = grids.study(models=(grids.model("a"), grids.model("b")), tuners=(grids.TUNERS["xgb"],))
    plan = make_plan(study, grids.cluster(grids.device("d0")))
    stages = [stage for stage in plan.stages.values() if stage.kind == "tune"]
    assert len(stages) == 2
    clock = [0.0]
    view = PlainProgress(Console(file=io.StringIO(), width=200), "s", lambda: clock[0])
    with Ledger(tmp_path) as ledger:
        shown = ProgressObserver(view, plan, ledger)
        for stage in stages:
            shown.attempt_started(stage, 1)
            shown.progress(stage, {"label": "as the tuner calls it", "trials": 5})
    [pool] = view.state.pools.values()
    assert pool.name == "xgb on d0 for native"
    assert (len(pool.running), pool.sum("trials")) == (2, 10)


def test_what_the_grid_leaves_out_is_told_when_the_run_begins(tmp_path: Path) -> None:
    plan = make_plan(grids.study(models=(grids.model("a"),)), grids.cluster(grids.device("d0")))
    plan = replace(plan, left_out=[LeftOut("litert", "d0", "ai-edge-litert is not installed")])
    said = io.StringIO()
    with Ledger(tmp_path) as ledger:
        ProgressObserver(PlainProgress(Console(file=said, width=200), "s", lambda: 0.0), plan, ledger)
    assert said.getvalue().splitlines()[1] == "left out: litert on d0: ai-edge-litert is not installed"
