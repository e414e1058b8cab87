"""A checklist says of each model what was found out, and what was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sweep.analysis.checklist import checklists, is_worth_showing
from sweep.analysis.outcome import CellOutcome, SweepOutcome
from sweep.analysis.rows.results import Results, SweepSummary, derive
from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.training_result import TrainResult
from sweep.record.mlflow.run_values import metrics
from sweep.record.parquet_tables import write_tables
from sweep.report.checklist_text import as_checklist
from sweep.report.figures.training import training_figures
from sweep.report.figures.variants import variant_figures
from sweep.study.spec import Cell

COSTS = {"parameters": 30, "nnz": 20, "sparsity": 0.2, "macs_dense": 270, "macs_sparse": 216}
INPUTS = {"x": {"shape": [1, 3, 8, 8], "dtype": "float32"}}


def outcome(model: str, runtime: str = "tvm", level: float | None = None, precision: str = "float32") -> CellOutcome:
    compiled = runtime == "tvm"
    cell = Cell(
        model, "native" if compiled else "-", "none" if compiled else "-", 3 if compiled else None,
        "NCHW", precision, 1, "here", runtime,
    )  # fmt: skip
    measured = Measurement((0.002,) * 6, number=1, output_max_abs_diff=1e-6, output_cosine_distance=2e-9)
    variant = None if level is None else {"of": "net", "step": "train", "method": "train", "level": level}
    stages: dict[str, Any] = {
        "import": ImportResult(complexity=COSTS, inputs=INPUTS, variant=variant),
        "measure": measured,
    }
    if level is not None:
        curve = ((10, 2.0, 0.3, 0.0), (20, 0.5, 0.9 - level / 10, level))
        stages["train"] = TrainResult(
            steps=20, samples=100, test_samples=50, accuracy=0.9 - level / 10, loss=0.5, sparsity=level, curve=curve
        )
    return CellOutcome(cell, "done", stages=stages)


def results_of(tmp_path: Path, *outcomes: CellOutcome) -> Results:
    return derive(SweepOutcome("s", "", outcomes, 0.0, 86_400.0, False, {}, {}, tmp_path))


def lines_of(results: Results, model: str) -> dict[str, str]:
    return dict(next(one.lines for one in checklists(results) if one.model == model))


def test_a_model_has_a_line_for_each_thing_that_is_asked(tmp_path: Path) -> None:
    results = results_of(tmp_path, outcome("net"), outcome("net", "onnxruntime"))
    found = lines_of(results, "net")
    assert found["sparse rate"] == "20.0% of the weights are zero"
    assert found["date"] == "1970-01-02"
    assert found["input shape"] == "x 1x3x8x8"
    assert found["compiler pass"] == "yes: O3, 2.00 ms on here"
    assert found["nnz"] == "20 of weights, sparsity 20.0%; 30 parameters"
    assert found["dense operations"] == "270 MACs, 540 FLOPs"
    assert found["sparse operations"] == "216 MACs, 432 FLOPs"
    assert [text for title, text in found.items() if title.startswith("check: ")] == [
        "outputs agree, cosine distance 2.0e-09"
    ] * 2
    assert found["accuracy"] == "not known"
    assert not is_worth_showing(results)


def test_one_that_was_trained_is_held_against_the_dense_one(tmp_path: Path) -> None:
    results = results_of(tmp_path, outcome("net"), outcome("dense", level=0.0), outcome("sparse", level=0.8))
    found = lines_of(results, "sparse")
    assert found["made of"] == "net: train at 80%"
    assert (found["accuracy"], found["original accuracy"]) == ("82.00%", "90.00% (dense)")
    assert is_worth_showing(results)
    saved = SweepSummary.from_json(results.summary.to_json())
    assert [each["model"] for each in saved.training] == ["dense", "sparse"]
    assert [row["training_accuracy"] for row in results.cells] == [None, 0.9, pytest.approx(0.82)]


def test_evaluated_accuracy_comes_first_and_quantised_ones_stand_apart(tmp_path: Path) -> None:
    results = results_of(tmp_path, outcome("sparse", level=0.8), outcome("sparse", level=0.8, precision="int8"))
    for row, accuracy in zip(results.cells, (0.84, 0.83), strict=True):
        row["accuracy"] = accuracy
    found = lines_of(results, "sparse")
    assert found["accuracy"] == "84.00%"
    assert found["quantised accuracy"].startswith("int8 83.00% (")


def test_it_is_markdown_with_a_table_a_model(tmp_path: Path) -> None:
    text = as_checklist(results_of(tmp_path, outcome("net"), outcome("a|b")))
    assert text.startswith("# s: checklist\n\n## net\n\n| | |\n| --- | --- |\n| sparse rate |")
    assert text.count("## ") == 2


def test_pictures_show_accuracy_against_sparsity_and_each_curve(tmp_path: Path) -> None:
    results = results_of(tmp_path, outcome("sparse", level=0.8), outcome("dense", level=0.0))
    against, *curves = training_figures(results.summary.training)
    assert (against.data[0]["x"], against.data[0]["y"]) == ([0.0, 80.0], [90.0, 82.0])
    assert [line["name"] for line in curves[0].data] == ["accuracy", "sparsity", "loss"]
    assert curves[0].data[1]["y"] == [0.0, 80.0]


def test_variants_are_drawn_against_latency_by_accuracy(tmp_path: Path) -> None:
    results = results_of(tmp_path, outcome("net"), *(outcome(f"s{level}", level=level) for level in (0.0, 0.5, 0.8)))
    (figure,) = variant_figures(results.cells)
    assert figure.title == "net on here, batch 1: accuracy"
    assert figure.data[0]["text"] == ["s0.0", "s0.5", "s0.8"]
    assert figure.data[0]["y"] == pytest.approx([90.0, 85.0, 82.0])
    assert figure.data[0]["x"] == [2.0, 2.0, 2.0]


def test_curves_are_a_table_and_metrics_by_step(tmp_path: Path) -> None:
    sparse = outcome("sparse", level=0.8)
    write_tables(results_of(tmp_path, sparse, outcome("net")), tmp_path)
    rows = pq.read_table(tmp_path / "training_curves.parquet").to_pylist()
    assert [(row["model"], row["step"], row["loss"], row["sparsity"]) for row in rows] == [
        ("sparse", 10, 2.0, 0.0), ("sparse", 20, 0.5, 0.8)
    ]  # fmt: skip
    points = {(point.name, point.step): point.value for point in metrics(sparse, 0.0)}
    assert points["training/accuracy", 20] == pytest.approx(0.82)
    assert points["training/loss", 10] == 2.0


def test_a_sweep_that_trained_nothing_has_no_table_of_curves(tmp_path: Path) -> None:
    write_tables(results_of(tmp_path, outcome("net")), tmp_path)
    assert not (tmp_path / "training_curves.parquet").exists()
