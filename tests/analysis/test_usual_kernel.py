"""The usual time of a device's sentinel kernel, and what is unusual for it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.taint import BlockConditions, taints
from sweep.analysis.usual_kernel import FEWEST, usual_s
from sweep.devices.measuring.kernel_history import KEPT, KernelHistory

TIMES = {"reference_before_s": [1e-3] * 7, "reference_after_s": [1.3e-3] * 7, "conditions": {}}


def test_the_slowest_state_that_is_usual_counts() -> None:
    assert usual_s([1.0] * (FEWEST - 1)) is None
    assert usual_s([1.0] * 100) == 1.0
    assert usual_s([1.0] * 70 + [1.3] * 30) == 1.3, "a shared host is there a third of the time"
    assert usual_s([1.0] * 90 + [1.3] * 10) == 1.0, "seldom"
    assert usual_s([1.0] * 50 + [3.0] * 50) == pytest.approx(1.6), "others' work is no state of a device"


@pytest.mark.parametrize(("usual", "slowest", "is_tainted"), [(None, 1.3, True), (1.3, 1.3, False), (1.3, 1.5, True)])
def test_tainted_is_what_is_unusual_for_the_device(usual: float | None, slowest: float, is_tainted: bool) -> None:
    seen = BlockConditions([slowest], [slowest], 1.0, {}, (), 1, usual)

    assert bool(taints(seen)) == is_tainted


def test_it_is_kept_across_runs_with_its_dates(tmp_path: Path) -> None:
    for _ in range(FEWEST):
        KernelHistory(tmp_path).add("here", TIMES)
    busy: dict[str, Any] = {**TIMES, "conditions": {"competitors_after": 2}, "reference_after_s": [9.0]}
    KernelHistory(tmp_path).add("here", busy)

    assert KernelHistory(tmp_path).usual_s("here") == pytest.approx(1.3e-3)
    assert KernelHistory(tmp_path).usual_s("there") is None
    (stored,) = tmp_path.iterdir()
    times = json.loads(stored.read_text())["here"]
    assert all(abs(t - time.time()) < 100 for t, _ in times)
    stored.write_text(json.dumps({"here": [[0.0, 1.0]] * 100}))
    for _ in range(KEPT):
        KernelHistory(tmp_path).add("here", TIMES)
    assert len(json.loads(stored.read_text())["here"]) == KEPT
    stored.write_text("{")
    assert KernelHistory(tmp_path).usual_s("here") is None
