"""Where a sweep stands, by its folder alone."""

from __future__ import annotations

import json
from pathlib import Path

from sweep.api.reading import standing
from sweep.running.ledger import Ledger


def test_what_a_killed_driver_had_under_way_does_not_run(tmp_path: Path) -> None:
    plan = {"study": "s", "cells": [], "stages": {"a": {"kind": "tune", "label": "tune a"}}}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with Ledger(tmp_path) as ledger:
        ledger.append("run_started", conditions={})
        ledger.append("attempt_started", stage="a", kind="tune", attempt=1)
        now = standing(tmp_path)
        assert (now.status, now.stages) == ("running", {"tune": {"running": 1}})
    after = standing(tmp_path)
    assert (after.status, after.stages) == ("lost", {"tune": {"pending": 1}})
