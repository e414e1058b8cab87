"""Cells that fail: for their own reason, told at once, and alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sweep.analysis.outcome import MEASURED
from sweep.files.checksums import sums_of
from tests.end_to_end.conftest import STUDY, Finished
from tests.end_to_end.place import CLUSTER_ALONE, Place
from tests.networks import write_invalid, write_unsupported

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.timeout(900)]

MODELS = """
study: some-fail
final: null
models: [unsupported.onnx, invalid.onnx, tiny.onnx]
opt_levels: [1]
measure: {repeat: 3, max_repeat: 3, min_repeat_ms: 1, retakes: 0}
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "place", MODELS, CLUSTER_ALONE.format(engine="inline"))
    write_unsupported(place.folder / "unsupported.onnx")
    write_invalid(place.folder / "invalid.onnx")
    return place


def test_models_that_cannot_be_imported_leave_the_others_alone(place: Place) -> None:
    ended = place.run()

    assert ended.code == 1
    assert "Traceback" not in ended.err
    told = [line for line in ended.err.splitlines() if line.startswith("failed")]
    assert len(told) == 4
    assert "unsupported native none O1 here: import: ImportFailed: " in told[0]
    assert "does not support: Det (node d)" in told[0]
    assert "invalid.onnx: the network is invalid" in told[2]
    shown = " ".join(ended.out.split())
    assert re.search(r"4 failed, [12] (done|tainted)", shown)
    assert "does not support: Det (node d)" in shown
    rows = pd.read_parquet(place.out / "results.parquet").set_index(["model", "runtime"])
    assert {rows.status[("tiny", "tvm")], rows.status[("tiny", "onnxruntime")]} <= {*MEASURED}
    for model in ("unsupported", "invalid"):
        failed = rows.loc[(model, "tvm")]
        assert (failed.status, failed.error_class, failed.failed_stage) == ("failed", "ImportFailed", "import")
        assert pd.isna(failed.latency_ms_median)
        for runtime in ("tvm", "onnxruntime"):
            ratios = rows.loc[(model, runtime), ["ratio_to_onnxruntime", "speedup_vs_untuned"]]
            assert ratios.isna().all(), "a rival that failed is no measure for others"

    events = place.events()
    again = place.run()

    assert again.code == 1
    assert "nothing was executed" in again.out
    assert place.events() == events, "what cannot come out differently is not tried again"


@pytest.mark.slow
def test_fail_fast_starts_nothing_more(place: Place) -> None:
    ended = place.run("--fail-fast")

    assert ended.code == 1
    started = place.events("attempt_started")
    (failed,) = place.events("attempt_failed")
    assert failed["error_class"] == "ImportFailed"
    assert [event for event in started if event["seq"] > failed["seq"]] == []
    assert place.events("run_ended")[-1]["status"] == "stopped"

    (place.folder / "study.yaml").write_text(MODELS.replace("unsupported.onnx, invalid.onnx, ", ""))
    assert place.run().code == 0, "the others are not held against it"


def test_a_wrong_output_is_a_failed_cell_not_a_fast_one(finished: Finished, tmp_path: Path) -> None:
    study = STUDY.replace("[1, 3]", "[3]").replace("repeat: 3", "repeat: 4")
    study = re.sub(r"exclude: .*", "exclude: [{tuner: [random, xgb]}]", study)
    place = Place(tmp_path / "place", study, CLUSTER_ALONE.format(engine="inline"))
    shutil.copytree(finished.out, place.out)
    (reference,) = place.out.glob("artifacts/import/*/reference.npz")
    with np.load(reference) as stored:
        arrays = {name: stored[name].copy() for name in stored.files}
    arrays["output_0"].flat[0] += 1.0
    np.savez(reference, **arrays)
    _believe(place, reference.parent)
    before = len(place.events("attempt_started"))

    ended = place.run()

    assert ended.code == 1
    assert [event["kind"] for event in place.events("attempt_started")[before:]] == ["measure", "measure"]
    rows = pd.read_parquet(place.out / "results.parquet")
    assert len(rows) == 2
    assert set(rows.status) == {"failed"}
    assert set(rows.error_class) == {"OutputMismatch"}
    assert rows.error.str.contains("max absolute difference 1").all()
    assert rows.latency_ms_median.isna().all()
    assert "OutputMismatch" in ended.err


def _believe(place: Place, folder: Path) -> None:
    """Have the ledger tell that the files of a stage are what its job has written: else the run makes them again."""
    told = []

    def believe(event: dict[str, Any]) -> None:
        if event["event"] == "stage_done" and event["result"].get("dir") == folder.relative_to(place.out).as_posix():
            event["result"]["files"] = sums_of(folder)
            told.append(event)

    place.change_events(believe)
    assert len(told) == 1
