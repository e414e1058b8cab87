"""What came of a whole sweep, from values alone."""

from __future__ import annotations

from pathlib import Path

from sweep.running.ledger.ledger import LedgerState
from sweep.running.ledger.sweep_outcome import sweep_outcome
from tests.running.plans import diamond

SECONDS = {"i": 2.0, "l1": 5.0, "l2": 6.0, "b1": 8.0, "b3": 8.0, "m1": 3.0, "m3": 3.0, "m4": 4.0}


def test_times_count_each_stage_once_also_where_results_are_alike(tmp_path: Path) -> None:
    plan, state = diamond(), LedgerState()
    for number, (stage, seconds) in enumerate(SECONDS.items()):
        done = {"event": "stage_done", "stage": stage, "kind": plan.stages[stage].kind, "result": {}, "attempt": 1}
        state.apply({"seq": number, "t": float(number), "seconds": seconds, **done})
    outcome = sweep_outcome(plan, "?", state, tmp_path)
    assert outcome.stage_seconds == {"import": 2.0, "lower": 11.0, "build": 16.0, "measure": 10.0}
