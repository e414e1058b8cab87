"""An overlay's run in a real store: written once for one content, replaced for another, beside the sweep's own runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.overlay.network import NetworkOnDevice, NetworkTimes
from sweep.analysis.overlay.overlay import Overlay, overlay_of
from sweep.record.mlflow.overlay_run import OverlayRun, metrics_of, record_overlay
from sweep.record.mlflow.tracking_store import embedded_store, open_client
from tests.analysis.overlay.layers import NO, layer

pytestmark = [pytest.mark.integration, pytest.mark.mlflow]

LAYERS = [
    layer([[1.0, 4.0], [1.5, 2.0]], layer="conv", workload="00"),
    layer([[1.0, NO], [NO, 1.0]], layer="dense", workload="01"),
]


@pytest.fixture
def run(tmp_path: Path) -> OverlayRun:
    files = tmp_path / "sweep" / "overlay"
    files.mkdir(parents=True)
    (files / "overlay.csv").write_text("layer\n")
    return OverlayRun(tmp_path / "sweep", "study", files, {"best": "4"})


def runs(run: OverlayRun) -> list[Any]:
    client = open_client(embedded_store(run.sweep_dir)[0])
    experiment = client.get_experiment_by_name("study")
    return list(client.search_runs([experiment.experiment_id]))


def test_numbers_name_the_device_and_a_layer_without_a_choice_is_counted() -> None:
    network = NetworkOnDevice("a", NetworkTimes([[0.003]]), NetworkTimes([[0.002]]), 1.0, 1.0)
    failed = NetworkOnDevice("b", NetworkTimes(failure="no"), NetworkTimes(), 1.0, 1.0)
    found: Overlay = replace(overlay_of(LAYERS), networks=[network, failed])
    told = metrics_of(found)
    assert told["overlay/M_mean"] == pytest.approx(0.5)
    assert (told["overlay/layers"], told["overlay/layers_undecided"]) == (2, 1)
    assert (told["overlay/regret a"], told["overlay/estimate_ms a"]) == (pytest.approx(0.5), 1500)
    assert (told["overlay/network_ms a"], told["overlay/network_own_ms a"]) == (3.0, 2.0)
    assert told["overlay/network_regret a"] == pytest.approx(0.5)
    assert "overlay/network_ms b" not in told
    assert metrics_of(overlay_of(LAYERS[1:])) == {"overlay/layers": 1.0, "overlay/layers_undecided": 1.0}


def test_one_run_for_one_content(run: OverlayRun) -> None:
    found = overlay_of(LAYERS)
    first = record_overlay(found, run)
    assert record_overlay(found, run) == first
    [one] = runs(run)
    assert (one.info.run_name, one.info.status, one.data.params) == ("overlay", "FINISHED", {"best": "4"})
    client = open_client(embedded_store(run.sweep_dir)[0])
    assert [file.path for file in client.list_artifacts(first)] == ["overlay.csv"]
    assert [(point.step, point.value) for point in client.get_metric_history(first, "overlay/M")] == [(0, 0.5)]

    (run.files / "overlay.csv").write_text("layer\nconv\n")
    second = record_overlay(found, run)
    assert second != first
    assert [one.info.run_id for one in runs(run)] == [second]
