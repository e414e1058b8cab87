from __future__ import annotations

import json
from pathlib import Path

from sweep.record.mlflow_rows import DERIVED_METRICS, metrics, params
from sweep.record.mlflow_store import embedded_store, open_client
from sweep.record.mlflow_view import VIEW_TAG, experiment_tags, view_path
from tests.record.fixtures import sweep_outcome


def test_a_real_store_takes_the_view_whole(tmp_path: Path) -> None:
    client = open_client(embedded_store(tmp_path)[0])
    tags = experiment_tags("What is fastest?")
    experiment = client.create_experiment("study", tags=tags)
    assert client.get_experiment(experiment).tags[VIEW_TAG] == tags[VIEW_TAG]


def test_the_view_asks_for_nothing_that_a_cell_does_not_have(tmp_path: Path) -> None:
    view = json.loads(experiment_tags("")[VIEW_TAG])
    state = json.loads(view["state"])
    cell = next(one for one in sweep_outcome(tmp_path).cells if one.cell.tuner == "xgb" and one.status == "done")
    had = {f"params.`{name}`" for name in params(cell)}
    had |= {f"metrics.`{name}`" for name in (*(point.name for point in metrics(cell, 0.0)), *DERIVED_METRICS)}
    assert {*state["selectedColumns"], state["orderByKey"]} <= had
    drawn = {f"metrics.`{one['metricKey']}`" for one in state["compareRunCharts"] if "metricKey" in one}
    assert drawn
    assert drawn <= had
    assert {one["metricSectionId"] for one in state["compareRunCharts"]} <= {
        one["uuid"] for one in state["compareRunSections"]
    }


def test_its_address_names_experiment_and_view() -> None:
    key = VIEW_TAG.rpartition(".")[2]
    assert view_path("7") == f"/#/experiments/7/runs?viewStateShareKey={key}"
    assert view_path("7", charts=True).endswith("&compareRunsMode=CHART")
