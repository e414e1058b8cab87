"""What a run will measure first."""

from __future__ import annotations

from pathlib import Path

from sweep.running.ledger.ledger import Ledger
from sweep.running.missing_work import first_measurement
from tests.running.plans import plan_of, stage


def test_the_first_measurement_is_the_plans_first_that_nothing_has_done(tmp_path: Path) -> None:
    stages = [stage("i", "import"), stage("m1", "measure", "i", device="d0"), stage("m2", "measure", "i", device="d1")]
    plan = plan_of(stages, ["m1", "m2"])
    with Ledger(tmp_path) as ledger:
        assert first_measurement(plan, ledger) == stages[1]
        for done, left in (("m1", stages[2]), ("m2", None)):
            ledger.append("stage_done", stage=done, kind="measure", attempt=1, result={"run_secs": [1.0]}, seconds=1.0)
            assert first_measurement(plan, ledger) == left
