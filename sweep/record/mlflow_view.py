"""The view of an experiment that MLflow's UI opens ready made: cells by latency, with charts that answer a study.

Unaided, the UI shows a sweep as one closed row with none of its params, and charts that one row. A saved view, which it
keeps as a tag of the experiment, says what to sort by, which columns to show and which charts to draw.

Imports no mlflow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["VIEW_TAG", "experiment_tags", "view_path"]

_KEY = "cells"
VIEW_TAG = f"mlflow.sharedViewState.{_KEY}"
"""Read by MLflow from 3.17 on; others leave it alone. Its value has at most 5,000 characters."""
_NAME = "Cells by latency"
_AXES = ("model", "device", "tuner", "opt_level")
_ANSWERS = ("latency_ms_median", "speedup_vs_untuned", "ratio_to_onnxruntime")
_RUNS_SHOWN = 20


def experiment_tags(question: str) -> dict[str, str]:
    """Tags of a study's experiment."""
    return {
        # The kind decides which pages the UI offers: runs and their charts, not traces of prompts
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": question,
        VIEW_TAG: json.dumps({"name": _NAME, "createdAt": 0, "updatedAt": 0, "state": json.dumps(_state())}),
    }


def view_path(experiment_id: str, charts: bool = False) -> str:
    """Of the view below a server's address, as a list of runs or as charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={_KEY}{mode}"


def _state() -> Mapping[str, Any]:
    """What the UI itself would store. Sorted by a metric, it shows cells and not sweeps with cells below them."""
    return {
        "searchFilter": "",
        "orderByKey": f"metrics.`{_ANSWERS[0]}`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*(f"params.`{axis}`" for axis in _AXES), *(f"metrics.`{name}`" for name in _ANSWERS)],
        "runsHiddenMode": f"FIRST_{_RUNS_SHOWN}_RUNS",
        "compareRunSections": [
            _section("answer", "Answer") | {"columns": 2, "cardHeight": 420},
            _section("tuning", "tuning"),
            _section("repeats", "repeats"),
        ],
        "compareRunCharts": [
            _chart("axes", "PARALLEL", selectedParams=list(_AXES), selectedMetrics=[_ANSWERS[0]], showAllRuns=True),
            *(_chart(name, "BAR", metricKey=name) for name in _ANSWERS),
        ],
        "isAccordionReordered": True,
    }


def _section(key: str, name: str) -> dict[str, Any]:
    return {"uuid": key, "name": name, "display": True, "isReordered": False, "deleted": False, "isGenerated": False}


def _chart(key: str, kind: str, **options: Any) -> dict[str, Any]:
    fixed = {"uuid": key, "type": kind, "metricSectionId": "answer", "deleted": False, "isGenerated": False}
    return {**fixed, "runsCountToCompare": _RUNS_SHOWN, **options}
