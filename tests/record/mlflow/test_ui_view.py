from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.record.mlflow.run_draft import run_name
from sweep.record.mlflow.run_values import DERIVED_METRICS, cell_tags, metrics, params
from sweep.record.mlflow.tracking_store import embedded_store, open_client
from sweep.record.mlflow.ui_view import CELLS, FAILED, experiment_tags, shown_axes, view_path, view_tag
from sweep.study.axes import axis_names
from tests.record.fixtures import sweep_outcome

LONGEST = 5_000
"""Characters that MLflow keeps of a tag's value."""


def states() -> Iterator[dict[str, Any]]:
    for view in (CELLS, FAILED):
        yield json.loads(json.loads(experiment_tags("", axis_names())[view_tag(view)])["state"])


def test_a_real_store_takes_the_views_whole(tmp_path: Path) -> None:
    client = open_client(embedded_store(tmp_path)[0])
    tags = experiment_tags("What is fastest?", axis_names())
    experiment = client.create_experiment("study", tags=tags)
    assert client.get_experiment(experiment).tags == tags
    assert max(map(len, tags.values())) < LONGEST


def test_a_view_asks_for_nothing_that_cells_do_not_have(tmp_path: Path) -> None:
    cells = sweep_outcome(tmp_path).cells
    tuned = next(one for one in cells if one.cell.tuner == "xgb" and one.status == "done")
    failed = next(one for one in cells if one.status == "failed")
    points = {point.name for point in metrics(tuned, 0.0)} | set(DERIVED_METRICS)
    had = {f"params.`{name}`" for name in params(tuned, axis_names())} | {f"metrics.`{name}`" for name in points}
    had |= {f"tags.`{name}`" for name in cell_tags(failed, "")}
    for state in states():
        assert {*state["selectedColumns"], state["orderByKey"]} <= had
        charts = state.get("compareRunCharts", [])
        assert {chart["metricKey"] for chart in charts if "metricKey" in chart} <= points
        assert {chart["metricSectionId"] for chart in charts} <= {
            section["uuid"] for section in state.get("compareRunSections", [])
        }


def test_axes_of_one_value_are_not_shown(tmp_path: Path) -> None:
    cells = [one.cell for one in sweep_outcome(tmp_path, devices=("local-1",)).cells]
    assert shown_axes(cells) == ("opt_level", "tuner")
    assert "model" in shown_axes(cells[:1]), "where nothing differs, the usual ones are"


def test_a_study_of_several_runtimes_shows_them_all(tmp_path: Path) -> None:
    cells = [one.cell for one in sweep_outcome(tmp_path, devices=("local-1",)).cells]
    beside = [replace(cell, runtime="openvino") for cell in cells if cell.runtime == "onnxruntime"]

    def cells_shown(axes: Sequence[str]) -> str:
        return str(json.loads(json.loads(experiment_tags("", axes)[view_tag(CELLS)])["state"])["searchFilter"])

    assert beside
    assert cells_shown(shown_axes(cells)) == 'metrics.latency_ms_median > 0 and params.runtime = "tvm"'
    assert shown_axes([*cells, *beside]) == ("runtime", "opt_level", "tuner")
    assert cells_shown(shown_axes([*cells, *beside])) == "metrics.latency_ms_median > 0"


@pytest.mark.parametrize("view", [CELLS, FAILED])
def test_its_address_names_experiment_and_view(view: str) -> None:
    address = view_path("7", view)
    assert address.startswith(f"/#/experiments/7/runs?viewStateShareKey={view_tag(view).rpartition('.')[2]}&")
    assert view_path("7", view, charts=True) == f"{address}&compareRunsMode=CHART"


def test_the_name_of_a_run_begins_with_what_is_chosen_and_is_its_own(tmp_path: Path) -> None:
    cells = [one.cell for one in sweep_outcome(tmp_path, models=("squeezenet", "resnet50")).cells]
    names = [run_name(cell) for cell in cells]
    assert len(set(names)) == len(names)
    assert names[0] == "untuned O0 squeezenet local-1 native"
    assert "onnxruntime squeezenet local-2" in names
