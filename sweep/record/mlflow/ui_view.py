"""The views of an experiment that MLflow's UI opens ready made: cells by latency, with charts, and cells that failed.

Unaided, the UI shows a sweep as one closed row with none of its params, and charts that one row. A saved view, which it
keeps as a tag of the experiment, says which runs to show, what to sort by, which columns and which charts.

Imports no mlflow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sweep.analysis.rows.columns import LATENCY
from sweep.plain_text import as_markdown
from sweep.study.axes import USUALLY_SHOWN, parallel_coordinates
from sweep.study.spec import TVM, Cell

__all__ = ["CELLS", "FAILED", "VIEWS", "experiment_tags", "shown_axes", "view_path", "view_tag"]

CELLS, FAILED = "cells", "failed"
"""The views, as they are named in addresses."""
VIEWS = "mlflow.sharedViewState."
"""How their tags begin: read by MLflow from 3.17 on, left alone by others; a value has at most 5,000 characters."""
_ANSWERS = (LATENCY, "speedup_vs_untuned", "ratio_to_baseline")
_CURVES = ("tuning/best_ms", "tuning/best_ms_over_time")
_RUNS_SHOWN = 20
_RUNTIME = "runtime"
"""The axis."""


def view_tag(view: str) -> str:
    """The experiment's tag that keeps it."""
    return VIEWS + view


def shown_axes(cells: Iterable[Cell]) -> tuple[str, ...]:
    """What differs among the cells that TVM compiles: an axis of one value takes room and tells nothing. The runtime
    comes first where several others stand beside TVM: the study asks about them.
    """
    compiled, others = [], set()
    for cell in cells:
        if cell.is_compiled:
            compiled.append(cell)
        else:
            others.add(cell.runtime)
    differ = (axis for axis in parallel_coordinates() if len({cell.value(axis) for cell in compiled}) > 1)
    return (*((_RUNTIME,) if len(others) > 1 else ()), *(tuple(differ) or USUALLY_SHOWN))


def experiment_tags(question: str, axes: Sequence[str] = USUALLY_SHOWN) -> dict[str, str]:
    """Tags of a study's experiment. `axes`: what its views show."""
    return {
        # The kind decides which pages the UI offers: runs and their charts, not traces of prompts
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": as_markdown(question),
        view_tag(CELLS): _view("Cells by latency", _cells(axes)),
        view_tag(FAILED): _view("Cells that failed", _failed(axes)),
    }


def view_path(experiment_id: str, view: str = CELLS, *, charts: bool = False) -> str:
    """Of a view below a server's address, as a list of runs or as charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    # Else the page is one about prompts and traces, with runs as a page among them
    kind = "&workflowType=machine_learning"
    return f"/#/experiments/{experiment_id}/runs?viewStateShareKey={view}{kind}{mode}"


def _view(name: str, state: Mapping[str, Any]) -> str:
    common = {
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "runsHiddenMode": f"FIRST_{_RUNS_SHOWN}_RUNS",
    }
    # As the UI itself would store it
    return json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": json.dumps({**common, **state})})


def _cells(axes: Sequence[str]) -> Mapping[str, Any]:
    """Measured cells of TVM alone, so that all of them can be selected and compared; of all runtimes where these are
    shown.

    Of the selected runs, MLflow's comparison draws a metric that all have, and the first three params that differ, by
    the alphabet: with another runtime among them these would be device, level and runtime, without the tuner. The
    baseline's time is in `ratio_to_baseline`. Sorted by a metric, the list shows cells and not sweeps with cells below
    them.
    """
    return {
        "searchFilter": f"metrics.{LATENCY} > 0" + ("" if _RUNTIME in axes else f' and params.runtime = "{TVM}"'),
        "orderByKey": f"metrics.`{LATENCY}`",
        "orderByAsc": True,
        "selectedColumns": [
            "tags.`sweep.status`",  # first: a tainted latency is not to be read as the others
            *(f"params.`{axis}`" for axis in axes),
            *(f"metrics.`{name}`" for name in _ANSWERS),
        ],
        "compareRunSections": [
            _section("axes", "Choices and latency", columns=1, cardHeight=400),
            _section("answer", "Answer", columns=3, cardHeight=400),
            _section("curves", "Tuning, by trial and by milliseconds", columns=2, cardHeight=400),
            _section("tuning", "tuning", display=False),
            _section("repeats", "repeats"),
        ],
        "compareRunCharts": [
            _chart("axes", "axes", "PARALLEL", selectedParams=axes, selectedMetrics=[LATENCY], showAllRuns=True),
            *(_chart("answer", name, "BAR", metricKey=name) for name in _ANSWERS),
            *(_chart("curves", name, "LINE", metricKey=name) for name in _CURVES),
        ],
        "isAccordionReordered": True,
    }


def _failed(axes: Sequence[str]) -> Mapping[str, Any]:
    return {
        "searchFilter": "attributes.status = 'FAILED'",
        "orderByKey": f"params.`{axes[-1]}`",
        "orderByAsc": True,
        "selectedColumns": [
            *(f"params.`{axis}`" for axis in axes),
            *(f"tags.`sweep.{name}`" for name in ("error_class", "error")),
        ],
    }


def _section(key: str, name: str, **options: Any) -> dict[str, Any]:
    # Reordered: charts of other metrics, which the UI adds, come behind these and not among them
    fixed = {"uuid": key, "name": name, "display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {**fixed, **options}


def _chart(section: str, key: str, kind: str, **options: Any) -> dict[str, Any]:
    fixed = {"uuid": key, "type": kind, "metricSectionId": section, "deleted": False, "isGenerated": False}
    return {**fixed, "runsCountToCompare": _RUNS_SHOWN, **options}
