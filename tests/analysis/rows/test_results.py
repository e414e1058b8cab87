from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.best_words import describe_best
from sweep.analysis.answering.standing import best_cells
from sweep.analysis.outcome import CellOutcome
from sweep.analysis.rows.columns import COLUMNS
from sweep.analysis.rows.results import Row, SweepSummary, derive
from sweep.planning.results.measurement import Measurement
from sweep.study.axes import axis_names
from tests.record.fixtures import TAINT, measured, sweep_outcome, tainted


def row_of(rows: list[Row], **axes: object) -> Row:
    [found] = [row for row in rows if all(row[axis] == value for axis, value in axes.items())]
    return found


@pytest.fixture
def rows(tmp_path: Path) -> list[Row]:
    return list(derive(sweep_outcome(tmp_path)).cells)


def test_a_row_a_cell_in_the_order_of_the_plan(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    rows = derive(outcome, {outcome.cells[0].cell.id: "run-1"}).cells
    assert [row["cell_id"] for row in rows] == [cell.cell.id for cell in outcome.cells]
    assert [row["mlflow_run_id"] for row in rows[:2]] == ["run-1", None]
    for row, cell in zip(rows, outcome.cells, strict=True):
        assert {axis: row[axis] for axis in axis_names()} == {axis: cell.cell.value(axis) for axis in axis_names()}


def test_no_two_columns_of_the_page_contend_for_a_place() -> None:
    """Those that stand together may share theirs."""
    shown = [(place, column.detail.rank) for place, column in enumerate(COLUMNS) if column.detail is not None]
    places: dict[int, list[int]] = {}
    for place, rank in shown:
        places.setdefault(rank, []).append(place)
    apart = {COLUMNS[one].name for found in places.values() for one in found if found[-1] - found[0] >= len(found)}
    assert not apart


def test_speedup_is_against_untuned_at_the_same_other_axes(rows: list[Row]) -> None:
    tuned = row_of(rows, device="local-1", tuner="random", opt_level=0)
    untuned = row_of(rows, device="local-1", tuner="none", opt_level=0)
    assert tuned["speedup_vs_untuned"] == untuned["latency_ms_median"] / tuned["latency_ms_median"]
    assert untuned["speedup_vs_untuned"] == 1.0
    assert row_of(rows, device="local-1", runtime="onnxruntime")["speedup_vs_untuned"] is None


def test_untuned_is_known_by_what_was_done_whatever_its_label(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, troubles=False)
    renamed = [
        replace(cell, cell=replace(cell.cell, tuner="as it comes")) if cell.cell.tuner == "none" else cell
        for cell in outcome.cells
    ]
    rows = list(derive(replace(outcome, cells=renamed)).cells)
    assert row_of(rows, device="local-1", tuner="xgb", opt_level=3)["speedup_vs_untuned"] == pytest.approx(1 / 0.135)
    assert row_of(rows, device="local-1", tuner="as it comes", opt_level=3)["tuning_trials"] == 0


def test_without_an_untuned_cell_or_a_reference_there_is_no_ratio(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    kept = [cell for cell in outcome.cells if cell.cell.tuner not in ("none", "-")]
    for row in derive(replace(outcome, cells=kept)).cells:
        assert row["speedup_vs_untuned"] is None
        assert row["ratio_to_onnxruntime"] is None


def test_ratio_to_the_reference_is_on_the_same_device(rows: list[Row]) -> None:
    for row in rows:
        reference = row_of(rows, device=row["device"], runtime="onnxruntime")
        if row["status"] == "done":
            assert row["ratio_to_onnxruntime"] == row["latency_ms_median"] / reference["latency_ms_median"]


def test_a_failed_cell_has_its_reason_and_no_number(rows: list[Row]) -> None:
    failed = row_of(rows, status="failed")
    assert (failed["error_class"], failed["failed_stage"]) == ("TuneFailed", "tune")
    assert "no valid trial" in failed["error"]
    assert all(value is None for name, value in failed.items() if name.startswith(("latency_ms", "speedup", "ratio")))
    skipped = row_of(rows, status="skipped")
    assert "budget" in skipped["error"]
    assert skipped["latency_ms_median"] is None


def test_a_cell_that_failed_after_it_was_measured_gives_no_latency(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    wrong = replace(outcome.cells[0], status="failed", error_class="OutputMismatch", failed_stage="measure")
    rows = derive(replace(outcome, cells=[wrong, *outcome.cells[1:]])).cells
    assert rows[0]["latency_ms_median"] is None
    assert "speedup_vs_untuned" in rows[0]
    assert rows[0]["speedup_vs_untuned"] is None


def test_measurements_keep_every_repeat_and_warmup(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    results = derive(outcome)
    first = [row for row in results.measurements if row["cell_id"] == outcome.cells[0].cell.id]
    assert [row["kind"] for row in first] == ["warm-up"] + ["repeat"] * 10
    assert [row["seconds"] for row in first[1:]] == list(measured(outcome.cells[0]).run_secs)
    assert len(results.measurements) == 12 * 11
    assert {row["tainted"] for row in first} == {False}
    assert [row["block"] for row in first] == [0] * 11


def test_a_tainted_cell_has_its_numbers_and_every_ratio_to_it_is_an_end(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    before = derive(outcome).cells
    for index, cell in enumerate(outcome.cells):
        if cell.status != "done":
            continue
        disturbed = [tainted(one) if one is cell else one for one in outcome.cells]
        after = derive(replace(outcome, cells=disturbed)).cells
        row = after[index]
        assert (row["status"], row["error"], row["blocks"]) == ("tainted", TAINT, 2)
        assert row["latency_ms_median"] == pytest.approx(before[index]["latency_ms_median"] / 2)
        assert row["latency_bound"] == "upper"
        for old, new in zip(before, after, strict=True):
            for ratio, bound in (("speedup_vs_untuned", "speedup_bound"), ("ratio_to_baseline", "ratio_bound")):
                is_as_before = (new[ratio], new[bound]) == (old[ratio], old[bound])
                assert is_as_before or new[bound] != "exact"
                assert new is not row or new[bound] != "exact"


def test_blocks_that_were_set_aside_are_kept_apart(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    cell = tainted(outcome.cells[0])
    rows = derive(replace(outcome, cells=[cell])).measurements
    kinds = Counter((row["kind"], row["block"], row["tainted"]) for row in rows)
    assert kinds == {("warm-up", 1, False): 1, ("repeat", 1, True): 10, ("set aside", 0, True): 3}
    assert [row["seconds"] for row in rows if row["kind"] == "repeat"] == list(measured(cell).run_secs)


def test_why_sampling_stopped_and_the_sentinel_kernel_are_told(rows: list[Row]) -> None:
    done = rows[0]
    assert (done["stopped_by"], done["blocks"]) == ("interval", 1)
    assert done["reference_kernel_ms"] == pytest.approx(8.0)
    failed = row_of(rows, status="failed")
    assert (failed["stopped_by"], failed["blocks"], failed["reference_kernel_ms"]) == (None, None, None)


def test_a_tuning_curve_never_rises_and_ends_where_tuning_ended(tmp_path: Path) -> None:
    curves = derive(sweep_outcome(tmp_path)).curves
    assert curves[0]["trial"] == 3
    for cell_id in {row["cell_id"] for row in curves}:
        values = [row["best_latency_ms"] for row in curves if row["cell_id"] == cell_id]
        assert values == sorted(values, reverse=True)
        assert max(row["trial"] for row in curves if row["cell_id"] == cell_id) == 64


def test_a_summary_survives_being_text(tmp_path: Path) -> None:
    summary = derive(sweep_outcome(tmp_path)).summary
    assert SweepSummary.from_json(summary.to_json()) == summary


def test_the_best_cell_of_each_device_is_no_reference(rows: list[Row]) -> None:
    assert [(one.device, one.row["tuner"], one.row["opt_level"]) for one in best_cells(rows)] == [
        ("local-1", "xgb", 3),
        ("local-2", "xgb", 0),
    ]


def test_cells_that_cannot_be_told_apart_are_called_ties(rows: list[Row]) -> None:
    best = row_of(rows, device="local-1", tuner="xgb", opt_level=3)
    near = row_of(rows, device="local-1", tuner="random", opt_level=3)
    for part in ("median", "min", "max", "ci_low", "ci_high"):
        near[f"latency_ms_{part}"] = best[f"latency_ms_{part}"] * 1.001
    assert [one.ties for one in best_cells(rows)] == [1, 0]


def test_the_answer_claims_nothing_over_a_reference_that_cannot_be_told_apart(rows: list[Row]) -> None:
    best = row_of(rows, device="local-1", tuner="xgb", opt_level=3)
    reference = row_of(rows, device="local-1", runtime="onnxruntime")
    for part in ("median", "min", "max", "ci_low", "ci_high"):
        reference[f"latency_ms_{part}"] = best[f"latency_ms_{part}"] * 1.001
    best["ratio_to_onnxruntime"] = 1 / 1.001
    one, other = best_cells(rows)
    assert "faster than untuned, not to be told apart from ONNX Runtime; open:" in describe_best(one)
    assert "slower than ONNX Runtime; open:" in describe_best(other)


def test_the_answer_is_plain_about_the_reference(tmp_path: Path) -> None:
    told = answer(derive(sweep_outcome(tmp_path, devices=("local-1",))))
    assert told == (
        "So far (1 cell skipped): squeezenet on local-1: ship ONNX Runtime here: it is fastest of those measured at "
        "1.02 ms; of what is compiled, random at O3 on native is fastest of those measured at 3.36 ms, "
        "4.76x faster than untuned, still 3.28x slower than ONNX Runtime; "
        "open: 1 failed cell may be faster (`sweep run ... --retry-failed`), "
        "1 skipped cell may be faster (`sweep run ...` again)."
    )


def test_the_answer_over_many_models_gives_the_range(tmp_path: Path) -> None:
    told = answer(derive(sweep_outcome(tmp_path, models=("squeezenet", "shufflenet", "resnet50"))))
    assert told.startswith(
        "So far (1 cell skipped): Over 3 models on 2 devices, ship ONNX Runtime in 6 of 6; of what is compiled, "
        "xgb at O3 on native has the best known time in 5 of 6, beyond doubt in 2; "
    )
    assert told.endswith(
        " Open in 4 of 6: 3 failed cells may be faster (`sweep run ... --retry-failed`), "
        "1 skipped cell may be faster (`sweep run ...` again)."
    )
    assert "the best tuned cells run 7.41x as fast as untuned" in told
    assert "(slower than it in 6 of 6)" in told


def test_the_answer_over_many_models_counts_no_tie_as_slower_than_the_reference(tmp_path: Path) -> None:
    results = derive(sweep_outcome(tmp_path, models=("squeezenet", "shufflenet", "resnet50")))
    best = row_of(results.cells, model="resnet50", device="local-1", tuner="xgb", opt_level=3)
    reference = row_of(results.cells, model="resnet50", device="local-1", runtime="onnxruntime")
    reference.update({name: value for name, value in best.items() if name.startswith("latency_ms_")})
    assert "(slower than it in 5 of 6, not to be told apart in 1)" in answer(results)


def test_the_answer_says_of_tuners_what_was_measured_of_them(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path, models=("squeezenet", "shufflenet"), troubles=False)
    untuned = [cell for cell in outcome.cells if cell.cell.tuner in ("none", "-")]
    alone = answer(derive(replace(outcome, cells=untuned)))
    assert "tuner" not in alone
    assert "; the best cells take" in alone
    slow = {cell.cell.id: replace(cell, stages={**cell.stages, "measure": _slower(cell)}) for cell in outcome.cells}
    cells = [cell if cell in untuned else slow[cell.cell.id] for cell in outcome.cells]
    assert "; no tuner beats untuned; the best cells take" in answer(derive(replace(outcome, cells=cells)))
    tuned = [cell for cell in outcome.cells if cell.cell.tuner != "none"]
    assert "is fastest in 4 of 4; the best cells take 2.11x" in answer(derive(replace(outcome, cells=tuned)))


def _slower(cell: CellOutcome) -> Measurement:
    return replace(measured(cell), run_secs=[seconds * 100 for seconds in measured(cell).run_secs])


def test_the_answer_of_a_sweep_that_goes_on_says_what_it_is_without(tmp_path: Path) -> None:
    outcome = sweep_outcome(tmp_path)
    assert answer(derive(outcome)).startswith("So far (1 cell skipped): squeezenet on local-1: ")
    cells = [replace(cell, status="pending") if cell.cell.tuner == "random" else cell for cell in outcome.cells]
    assert answer(derive(replace(outcome, cells=cells))).startswith("So far (4 cells pending, 1 skipped): ")


@pytest.mark.parametrize(
    ("kept", "changes", "told"),
    [
        (14, {"status": "pending"}, "No latency yet: 14 cells pending."),
        (
            1,
            {"status": "failed", "error_class": "BuildFailed", "failed_stage": "build"},
            "No latency: 1 cell failed, mostly by BuildFailed in build.",
        ),
        (0, {}, "There is no cell: the grid is empty."),
    ],
)
def test_the_answer_where_nothing_was_measured_says_why(
    tmp_path: Path, kept: int, changes: dict[str, str], told: str
) -> None:
    outcome = sweep_outcome(tmp_path)
    cells = [replace(cell, stages={}, **changes) for cell in outcome.cells[:kept]]  # type: ignore[arg-type]
    assert answer(derive(replace(outcome, cells=cells))) == told
