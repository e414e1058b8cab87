"""A float network is calibrated, quantised, compiled and measured beside the float one and beside ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import sweep
from sweep.analysis.outcome import MEASURED
from sweep.planning.planner import make_plan
from sweep.planning.summary import explain
from sweep.running.ledger.ledger import read_ledger
from tests.networks import write_tiny

pytestmark = [pytest.mark.integration, pytest.mark.tvm, pytest.mark.timeout(900)]

SLACK = {"name": "int8-slack", "dtype": "int8", "strategy": "scale_shift", "per": "tensor", "execution": "simulated"}
MIXED = {"name": "int8-mixed", "dtype": "int8", "float32_worst": 1}
ADVISED = {"name": "int8-advised", "dtype": "int8", "float32_advised": 1}
STUDY = {
    "study": "quantised",
    "models": ["tiny.onnx"],
    "opt_levels": [3],
    "runtimes": ["tvm", "onnxruntime"],
    "axes": {"precision": ["float32", "int8", SLACK, MIXED, ADVISED]},
    "calibration": {"random": 48},
    "final": None,
    "measure": {"repeat": 3, "max_repeat": 3, "rounds": 1, "min_repeat_ms": 1, "retakes": 0},
}
CLUSTER = {"name": "one", "engine": "inline", "devices": [{"key": "here", "cores": [-1]}], "mlflow": {"enabled": False}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quantised")
    write_tiny(folder / "tiny.onnx")
    (folder / "study.yaml").write_text(json.dumps(STUDY))
    (folder / "cluster.yaml").write_text(json.dumps(CLUSTER))
    return folder


@pytest.fixture(scope="module")
def swept(home: Path) -> sweep.SweepRun:
    study, cluster = sweep.load_study(home / "study.yaml"), sweep.load_cluster(home / "cluster.yaml")
    return sweep.run(study, cluster, out=home / "out")


def test_one_calibration_serves_all_precisions_and_runtimes(home: Path) -> None:
    plan = make_plan(sweep.load_study(home / "study.yaml"), sweep.load_cluster(home / "cluster.yaml"))
    stages = explain(plan).as_dict()["stages"]
    assert stages == {
        "import": 1,
        "calibrate": 1,
        "layer_errors": 1,
        "quantise": 4,
        "lower": 5,
        "build": 5,
        "measure": 9,
        "layer_latencies": 2,
        "layer_advice": 1,
    }
    rivals = [one.cell.precision for one in plan.cells if one.cell.runtime == "onnxruntime" and not one.refusal]
    assert rivals == ["float32", "int8", "int8-slack", "int8-mixed"]


def test_rows_have_the_distance_to_float_and_say_how_it_was_calibrated(home: Path, swept: sweep.SweepRun) -> None:
    rows = pq.read_table(home / "out" / "results.parquet").to_pylist()
    of_advised = [row for row in rows if row["precision"] == "int8-advised" and row["runtime"] == "onnxruntime"]
    assert [row["error_class"] for row in of_advised] == ["Refused"], "no runtime but ours has layers that were timed"
    rows = [row for row in rows if row not in of_advised]
    assert {row["status"] for row in rows} <= {*MEASURED}, [row["error"] for row in rows]
    of = {(row["runtime"], row["precision"]): row for row in rows}
    for runtime in ("tvm", "onnxruntime"):
        plain, usual, slack = (of[runtime, name] for name in ("float32", "int8", "int8-slack"))
        assert plain["output_cosine_distance"] < 1e-6
        # Where a CPU has no VNNI, ONNX Runtime cuts off sums of 8-bit products at 16 bits: its int8 is no nearer then
        most = slack["output_cosine_distance"] if runtime == "tvm" else 0.05
        assert 1e-6 < usual["output_cosine_distance"] < most
        assert 1e-6 < slack["output_cosine_distance"] < 0.05
        assert plain["calibrated_on"] is None
        assert usual["calibrated_on"] == "48 made-up samples"
        assert (usual["quantised_operators"], usual["float_operators"]) == (4, 0)
        mixed = of[runtime, "int8-mixed"]
        assert (mixed["quantised_operators"], mixed["float_operators"]) == (3, 1)
        assert 0 < mixed["output_cosine_distance"] < 0.05
    shares = {name: of["tvm", name]["int_macs_share"] for name in ("float32", "int8", "int8-slack")}
    assert shares == {"float32": 0, "int8": 1, "int8-slack": 0}
    assert of["tvm", "int8"]["artifact_bytes"] != of["tvm", "float32"]["artifact_bytes"]


def test_a_table_of_ranges_is_left_that_people_can_read(home: Path, swept: sweep.SweepRun) -> None:
    (folder,) = (home / "out" / "artifacts" / "calibrate").iterdir()
    table = json.loads((folder / "ranges.json").read_text())
    assert (table["samples"], table["source"], table["bins"]) == (48, "random", 2048)
    assert table["activations"]["x"]["max"] > 3  # of 9,216 normal numbers
    assert len(table["weights"]["kernel"]["channel_max"]) == 8


def test_layers_are_ranked_in_a_table_and_on_the_page(home: Path, swept: sweep.SweepRun) -> None:
    rows = pq.read_table(home / "out" / "layer_errors.parquet").to_pylist()
    rows = [row for row in rows if row["precision"] == "int8-mixed"]
    assert [row["operator"] for row in rows] == ["Conv", "Gemm"]
    assert sorted(row["rank"] for row in rows) == [1, 2]
    worst = min(rows, key=lambda row: row["rank"])
    assert worst["alone_final_cosine_distance"] == max(row["alone_final_cosine_distance"] for row in rows)
    assert 0 < worst["kept_cosine_distance"] < rows[-1]["with_before_cosine_distance"]
    page = (home / "out" / "report" / "index.html").read_text()
    assert "Layers of quantised networks" in page
    assert f"; with {worst['layer']}" in page


def test_layers_are_timed_in_both_builds_and_the_advised_one_is_kept(home: Path, swept: sweep.SweepRun) -> None:
    rows = pq.read_table(home / "out" / "layer_errors.parquet").to_pylist()
    timed = [row for row in rows if row["precision"] == "int8"]
    assert [(row["operator"], row["device"], row["opt_level"]) for row in timed] == [
        ("Conv", "here", 3),
        ("Gemm", "here", 3),
    ]
    for row in timed:
        assert row["float32_ms"] > 0
        assert row["quantised_ms"] > 0
        assert row["added_ms"] == pytest.approx(row["float32_ms"] - row["quantised_ms"])
    assert sorted(row["advised_rank"] for row in timed) == [1, 2]
    (first,) = (row["layer"] for row in timed if row["advised_rank"] == 1)
    cells = pq.read_table(home / "out" / "results.parquet").to_pylist()
    of = {(row["runtime"], row["precision"]): row for row in cells}
    assert of["tvm", "int8-advised"]["kept_layers"] == first
    assert of["tvm", "int8"]["kept_layers"] is None
    said = (home / "out" / "report" / "results.md").read_text()
    assert "## Layers to keep in float32" in said


def test_the_same_command_again_does_nothing(home: Path, swept: sweep.SweepRun) -> None:
    before = read_ledger(home / "out").done
    study, cluster = sweep.load_study(home / "study.yaml"), sweep.load_cluster(home / "cluster.yaml")
    sweep.run(study, cluster, out=home / "out")
    assert read_ledger(home / "out").done == before


@pytest.mark.slow
def test_a_sweep_by_the_saved_table_makes_the_same_quantised_networks(home: Path, swept: sweep.SweepRun) -> None:
    (saved,) = (home / "out" / "artifacts" / "calibrate").iterdir()
    again = {**STUDY, "axes": {"precision": ["int8", SLACK]}, "runtimes": ["onnxruntime"]}
    again["calibration"] = {"table": f"out/artifacts/calibrate/{saved.name}"}
    (home / "again.yaml").write_text(json.dumps(again))
    study, cluster = sweep.load_study(home / "again.yaml"), sweep.load_cluster(home / "cluster.yaml")
    sweep.run(study, cluster, out=home / "again")

    def networks(folder: Path) -> set[tuple[bytes, str]]:
        places = list((folder / "artifacts" / "quantise").iterdir())
        return {((place / "model.onnx").read_bytes(), (place / "parameters.json").read_text()) for place in places}

    assert len(networks(home / "again")) == 2
    assert networks(home / "again") < networks(home / "out")
    rows = pq.read_table(home / "again" / "results.parquet").to_pylist()
    said = {row["calibrated_on"] for row in rows if row["precision"] != "float32"}
    assert said == {f"48 made-up samples, by the saved table {study.calibration.tables[''].sha256[:8]}"}
    (taken,) = (home / "again" / "artifacts" / "calibrate").iterdir()
    assert (taken / "ranges.json").read_bytes() == (saved / "ranges.json").read_bytes()
