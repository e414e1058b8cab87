"""More than one runtime beside TVM: who competes, who is named, and against whom every number is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.best_words import describe_best
from sweep.analysis.answering.standing import best_cells
from sweep.analysis.outcome import SweepOutcome
from sweep.analysis.rows.bounds import EXACT, Reading
from sweep.analysis.rows.ratios import Ratios
from sweep.analysis.rows.results import Results, derive
from sweep.analysis.rows.runtime_rows import baseline_title, fastest_of_each, group_key, ratios, runtime_title
from tests.record.fixtures import sweep_outcome, with_runtime

QUICK, SLOW = 0.1, 0.5
"""Shares of the untuned time; the best compiled cells take 0.135 and 0.21, ONNX Runtime 0.064."""


def three(folder: Path, **options: Any) -> SweepOutcome:
    """TVM, ONNX Runtime, one that is quicker than what is compiled and one that is slower."""
    outcome = sweep_outcome(folder, **{"devices": ("local-1",), "troubles": False} | options)
    return with_runtime(with_runtime(outcome, "openvino", QUICK), "litert", SLOW)


def only(outcome: SweepOutcome, *runtimes: str) -> Results:
    return derive(replace(outcome, cells=[one for one in outcome.cells if one.cell.runtime in runtimes]))


def test_the_best_compiled_cell_is_named_and_whoever_is_faster(tmp_path: Path) -> None:
    assert answer(derive(three(tmp_path))) == (
        "squeezenet on local-1: ship ONNX Runtime here: it is fastest at 1.02 ms; of what is compiled, "
        "xgb at O3 on native is fastest at 2.16 ms, 7.41x faster than untuned, "
        "still 2.11x slower than ONNX Runtime, still 1.35x slower than OpenVINO."
    )


def test_the_baseline_is_named_first_whatever_it_is(tmp_path: Path) -> None:
    told = answer(derive(replace(three(tmp_path), baseline="litert")))
    assert told.endswith(
        "7.41x faster than untuned, 3.70x faster than LiteRT, still 2.11x slower than ONNX Runtime, "
        "still 1.35x slower than OpenVINO."
    )


def test_a_runtime_that_cannot_be_told_apart_is_named_so(tmp_path: Path) -> None:
    results = derive(three(tmp_path))
    best = best_cells(results.cells)[0].row
    near = next(row for row in results.cells if row["runtime"] == "litert")
    for part in ("median", "min", "max", "ci_low", "ci_high"):
        near[f"latency_ms_{part}"] = best[f"latency_ms_{part}"] * 1.001  # type: ignore[index]
    assert describe_best(best_cells(results.cells)[0]).endswith(
        "still 1.35x slower than OpenVINO, not to be told apart from LiteRT"
    )


def test_other_runtimes_compete_only_where_nothing_is_compiled(tmp_path: Path) -> None:
    outcome = three(tmp_path)
    assert {best.row["runtime"] for best in best_cells(derive(outcome).cells)} == {"tvm"}
    broken = [replace(one, status="failed") if one.cell.is_compiled else one for one in outcome.cells]
    assert best_cells(derive(replace(outcome, cells=broken)).cells) == []
    told = answer(only(outcome, "openvino", "litert", "onnxruntime"))
    assert told == "squeezenet on local-1: ONNX Runtime is fastest at 1.02 ms."
    told = answer(only(replace(outcome, baseline="litert"), "openvino", "litert"))
    assert told == "squeezenet on local-1: OpenVINO is fastest at 1.60 ms, 5.00x faster than LiteRT."


def test_over_many_places_each_runtime_that_is_ahead_anywhere_is_counted(tmp_path: Path) -> None:
    outcome = three(tmp_path, models=("squeezenet", "shufflenet"), devices=("local-1", "local-2"))
    assert answer(derive(outcome)) == (
        "Over 2 models on 2 devices, ship ONNX Runtime in 4 of 4; of what is compiled, xgb at O3 on native is fastest "
        "in 4 of 4; the best tuned cells run 7.41x as fast as untuned; the best cells take 2.11x the time of "
        "ONNX Runtime (slower than it in 4 of 4); the best cells take 1.35x the time of OpenVINO (slower than it in "
        "4 of 4)."
    )


def test_columns_are_numbers_against_the_baseline_of_the_same_place(tmp_path: Path) -> None:
    outcome = replace(three(tmp_path, devices=("local-1", "local-2")), baseline="openvino")
    for row in derive(outcome).cells:
        factor = {"onnxruntime": 0.064, "openvino": QUICK, "litert": SLOW}.get(row["runtime"])
        factor = factor or {"none": 1.0, "random": 0.21, "xgb": 0.135}[row["tuner"]] * {0: 1.35, 3: 1}[row["opt_level"]]
        assert row["baseline"] == "openvino"
        assert row["ratio_to_baseline"] == pytest.approx(factor / QUICK)
        assert row["ratio_to_onnxruntime"] == pytest.approx(factor / 0.064)


def test_without_a_baseline_there_is_no_ratio_to_it(tmp_path: Path) -> None:
    rows = only(replace(three(tmp_path), baseline=None), "tvm", "litert").cells
    assert {(row["baseline"], row["ratio_to_baseline"], row["ratio_to_onnxruntime"]) for row in rows} == {
        (None, None, None)
    }
    assert baseline_title(rows) == ""


def test_tvm_as_the_baseline_is_its_fastest_cell(tmp_path: Path) -> None:
    results = derive(replace(three(tmp_path), baseline="tvm"))
    by_runtime = {row["runtime"]: row["ratio_to_baseline"] for row in results.cells if not row["tuner"].isalpha()}
    assert by_runtime["openvino"] == pytest.approx(QUICK / 0.135)
    assert min(row["ratio_to_baseline"] for row in results.cells if row["runtime"] == "tvm") == 1
    assert "faster than TVM" not in answer(results)


def test_a_ratio_is_of_one_model_batch_and_device() -> None:
    """Of each place its own numbers, so that a ratio taken at another place is another number."""
    medians = {
        ("a", 1, "here"): (6.0, 2.0),
        ("a", 8, "here"): (40.0, 8.0),
        ("a", 1, "there"): (7.0, 1.0),
        ("b", 1, "here"): (99.0, 9.0),
    }
    rows = [
        row(*place, runtime, median)
        for place, both in medians.items()
        for runtime, median in zip(("openvino", "litert"), both, strict=True)
    ]
    found = ratios(rows, of="openvino", against="litert")
    assert [one.ratio for one in found] == [3.0, 5.0, 7.0, 11.0]
    assert [one.ratio for one in ratios(rows, of="litert", against="openvino")] == [1 / 3, 1 / 5, 1 / 7, 1 / 11]
    assert ratios(rows, of="openvino", against="tvm") == []


def test_of_a_runtime_of_many_cells_the_fastest_that_nothing_disturbed_counts() -> None:
    rows = [
        row("a", 1, "here", "tvm", 4.0),
        row("a", 1, "here", "tvm", 3.0),
        row("a", 1, "here", "tvm", 1.0) | {"status": "tainted"},
        row("a", 1, "here", "litert", 1.5),
    ]
    assert [one.ratio for one in ratios(rows, of="tvm", against="litert")] == [2.0]
    assert fastest_of_each(rows)[group_key(rows[1])]["tvm"] is rows[1]


def test_the_ratio_of_a_cell_is_to_its_own_batch(tmp_path: Path) -> None:
    """As they come in one by one, and whichever comes first."""
    outcome = three(tmp_path)
    known = Ratios("openvino")
    for one in outcome.cells:
        for batch, factor in ((1, 1.0), (8, 10.0)):
            cell = replace(one.cell, batch=batch)
            median = {"openvino": 2.0, "onnxruntime": 4.0}.get(cell.runtime, 8.0) * factor
            known.note(replace(one, cell=cell), exact(median))
    compiled = next(one.cell for one in outcome.cells if one.cell.tuner == "random")
    assert known.of(compiled, exact(8.0)) == {
        "speedup_vs_untuned": 1.0,
        "speedup_bound": "exact",
        "ratio_to_baseline": 4.0,
        "ratio_bound": "exact",
        "ratio_to_baseline_same_precision": 4.0,
        "ratio_same_precision_bound": "exact",
        "ratio_to_onnxruntime": 2.0,
    }
    assert known.of(replace(compiled, batch=8), exact(8.0))["ratio_to_baseline"] == 0.4
    assert known.of(replace(compiled, device="elsewhere"), exact(8.0)) == {}


def exact(median_ms: float) -> Reading:
    return Reading(median_ms, median_ms, median_ms, EXACT)


def row(model: str, batch: int, device: str, runtime: str, median: float) -> dict[str, Any]:
    axes = {"model": model, "batch": batch, "device": device, "runtime": runtime, "status": "done"}
    spread = {f"latency_ms_{part}": median for part in ("median", "min", "max", "ci_low", "ci_high")}
    return axes | spread


def test_a_runtime_that_chose_its_number_type_is_named_with_it() -> None:
    row = {"runtime": "openvino-default", "precision": "bfloat16"}
    assert runtime_title(row) == "OpenVINO default (bfloat16)"
    assert [runtime_title(row | {"precision": known}) for known in ("own", "float32")] == ["OpenVINO default"] * 2
    assert runtime_title({"runtime": "tvm", "precision": "float16"}) == "TVM"
