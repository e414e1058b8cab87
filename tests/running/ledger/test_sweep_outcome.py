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


def test_an_error_ends_with_what_was_found_out_of_the_network(tmp_path: Path) -> None:
    plan, state = diamond(), LedgerState()
    beyond = {"layer": "conv7", "operator": "Conv", "value": 1e6}
    done = {"event": "stage_done", "stage": "l1", "kind": "lower", "attempt": 1, "seconds": 1.0}
    state.apply({"seq": 0, "t": 0.0, **done, "result": {"beyond_range": beyond}})
    failed = {"event": "attempt_failed", "stage": "m1", "kind": "measure", "error_class": "WrongOutput", "attempt": 1}
    state.apply({"seq": 1, "t": 1.0, **failed, "error": "off by 0.996", "retry": False})

    told = {outcome.cell.model: outcome.error for outcome in sweep_outcome(plan, "?", state, tmp_path).cells}

    assert told["m0"] == ("off by 0.996; in float32 the network exceeds float16's range, 65,504, at Conv conv7: 1e+06")
    assert told["m3"] is None
