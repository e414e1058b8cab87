"""What Prometheus gets of a run, scraped from a real Ray."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest

from sweep.planning.results.compiling import ImportResult
from sweep.running.ledger.ledger import Ledger
from tests.devices.parts import until
from tests.engine.shop import Shop
from tests.running.plans import plan_of, stage

pytestmark = [pytest.mark.integration, pytest.mark.ray]


def test_a_run_is_counted_where_prometheus_looks(ray: Shop, tmp_path: Path) -> None:
    from sweep.engine.ray.metrics import RayMetrics, metrics_url

    i, t, b = stage("i", "import"), stage("t", "tune", "i", device="d0", tuner="a"), stage("b", "build", "i", "t")
    t.hints["tuner"] = "xgb"  # type: ignore[index]
    m, n = stage("m", "measure", "b", device="d0"), stage("n", "measure", "i", device="d1")
    plan = plan_of([i, t, b, m, n], ["m", "n"])
    said: list[str] = []
    with Ledger(tmp_path) as ledger:
        metrics = RayMetrics(plan, ledger, said.append)
        metrics.attempt_started(i, 1)
        metrics.stage_done(i, ImportResult(), 2.0)
        metrics.attempt_started(t, 1)
        metrics.progress(t, {"trials": 5, "busy": {"device": 0.25}})
        metrics.progress(t, {"trials": 7, "busy": {"device": 0.75}})
        metrics.attempt_started(n, 1)
        metrics.attempt_failed(n, "DeviceLost", "gone", True)
        ledger.append("stage_done", stage="m", kind="measure", attempt=1, result={"run_secs": [1.0]}, seconds=1.0)
        metrics.cell_settled(0, False)
        url = metrics_url()
        assert url is not None
        assert url.startswith("http://127.0.0.1:")
        assert said == [f"metrics: {url}"]
        found: dict[str, float] = {}

        def is_there() -> bool:
            with urllib.request.urlopen(url, timeout=10) as answer:
                found.update(_ours(answer.read().decode()))
            return "cells_settled_total status=done" in found

        until(is_there, "our metrics at Ray's address", 60)

    assert found["cells device="] == 2.0
    assert found["cells_settled_total status=done"] == 1.0
    assert found["stages_done_total kind=import"] == 1.0
    assert found["stage_seconds_total kind=import"] == 2.0
    assert found["stage_duration_s_count kind=import"] == 1.0
    assert found["trials_total tuner=xgb"] == 7.0
    assert found["attempts_failed_total error_class=DeviceLost"] == 1.0
    assert (found["attempts_running kind=tune"], found["attempts_running kind=measure"]) == (1.0, 0.0)
    assert (found["device_busy device=d0"], found["device_busy device=d1"]) == (0.75, 0.0)


def _ours(page: str) -> dict[str, float]:
    """Our lines, by name and their most telling tag."""
    found = {}
    for line in page.splitlines():
        if not line.startswith("ray_sweep_") or 'study="test"' not in line:
            continue
        name, rest = line.removeprefix("ray_sweep_").split("{", 1)
        tags = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        telling = next((tag for tag in ("status", "tuner", "error_class", "kind", "device") if tag in tags), "device")
        found[f"{name} {telling}={tags.get(telling, '')}"] = float(rest.rsplit(" ", 1)[1])
    return found
