"""Cells are evaluated over labelled samples on their device: trained digits, compiled code and another runtime."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from onnxruntime import InferenceSession

from sweep.datasets.preprocessing import NetworkInput
from sweep.datasets.reading import Wanted, read_samples
from tests.devices.parts import until
from tests.end_to_end.place import CLUSTER_ALONE, LIMIT_S, Place

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "experiments" / "networks" / "digits.onnx"
STUDY = """
study: digits
final: null
models: [digits.onnx]
opt_levels: [0, 3]
runtimes: [tvm, onnxruntime]
axes: {batch: [7]}
measure: {repeat: 3, max_repeat: 3, rounds: 1, min_repeat_ms: 1, retakes: 0}
datasets: {digits: {sklearn: digits, preprocess: {divide: 16}}}
evaluate: {dataset: digits, samples: 100}
objective: {minimise: latency, subject_to: {accuracy_drop: 0.01}}
"""


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("evaluated"), STUDY, CLUSTER_ALONE.format(engine="inline"))
    shutil.copyfile(DIGITS, place.folder / "digits.onnx")
    ended = place.run()
    assert ended.code == 0, ended.err
    return place


def rows_of(place: Place) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pd.read_parquet(place.out / "results.parquet").to_dict("records")
    return rows


def test_each_cell_has_what_its_answers_come_to(evaluated: Place) -> None:
    options = {"of": "sklearn", "name": "digits", "test": 0.25, "seed": 0, "preprocess": {"divide": 16}}
    samples = read_samples(options, {}, Wanted("test", 100), NetworkInput([7, 1, 8, 8]))
    scores = InferenceSession(str(DIGITS)).run(None, {"image": samples.inputs})[0]
    right = int((scores.argmax(axis=1) == samples.labels).sum())
    rows = rows_of(evaluated)
    assert len(rows) == 3
    for row in rows:
        assert row["status"] in ("done", "tainted")  # by what else the machine does; answers are not disturbed by it
        assert row["evaluated_samples"] == 100
        assert row["accuracy"] == right / 100 >= 0.97
        assert row["accuracy_ci_low"] < row["accuracy"] < row["accuracy_ci_high"] or right == 100
        assert row["accuracy_drop"] == 0
        assert row["agreement"] == 1
        assert row["top5"] >= row["accuracy"]
        assert row["meets_objective"]
        assert row["dataset"] == "digits"
        told = json.loads(row["confusion_json"])
        assert sum(count for *_, count in told["counts"]) == 100
        assert sum(count for truth, guess, count in told["counts"] if truth == guess) == right
    assert {row["accuracy_reference"] for row in rows} == {row["cell_name"] for row in rows if row["runtime"] != "tvm"}
    assert {bool(row["evaluated_on"]) for row in rows} == {True}
    assert set(np.array([row["source_bytes"] for row in rows])) == {DIGITS.stat().st_size}


def plan(place: Place) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(place.call("plan", *place.command[1:], "--json").out)
    return told


def test_another_recipe_evaluates_again_and_does_nothing_else(evaluated: Place) -> None:
    planned = plan(evaluated)
    evaluated.write("study.yaml", STUDY.replace("divide: 16", "divide: 32"))
    other = plan(evaluated)
    evaluated.write("study.yaml", STUDY)
    assert planned["stages"]["evaluate"] == 3
    missing = [
        {kind: told["stages"][kind] - told["cached"].get(kind, 0) for kind in told["stages"]}
        for told in (planned, other)
    ]
    assert not any(missing[0].values())
    assert {kind for kind, count in missing[1].items() if count} == {"evaluate"}


def test_report_and_page_show_it(evaluated: Place) -> None:
    page = (evaluated.out / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="accuracy"' in page
    told = json.loads(evaluated.call("report", "out", "--format", "json").out)
    if all(row["status"] == "done" for row in told["cells"]):
        assert "accuracy beside latency" in page
        assert any("opt levels in float32" in line for line in told["questions"])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_killed_while_it_evaluates_it_ends_with_the_same_tables(evaluated: Place, tmp_path: Path, engine: str) -> None:
    place = Place(tmp_path / "killed", STUDY, CLUSTER_ALONE.format(engine=engine))
    shutil.copyfile(DIGITS, place.folder / "digits.onnx")
    running = place.start()
    until(lambda: _evaluates(place), "an evaluation under way", LIMIT_S)
    running.kill()
    running.communicate()
    assert place.run().code == 0
    columns = ["accuracy", "accuracy_ci_low", "top5", "mean_precision", "g_mean", "agreement", "confusion_json"]
    tables = [{row["cell_id"]: [row[name] for name in columns] for row in rows_of(one)} for one in (evaluated, place)]
    assert len(tables[0]) == 3
    assert tables[0] == tables[1]


def _evaluates(place: Place) -> bool:
    ended = {event["stage"] for event in place.events("stage_done")}
    return any(
        event.get("kind") == "evaluate" and event["stage"] not in ended for event in place.events("attempt_started")
    )
