"""What is certain at a place and what is open, in words, marks and columns."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.best_words import describe_best
from sweep.analysis.answering.standing import best_cells, marks
from sweep.analysis.rows.bounds import Reading
from sweep.analysis.rows.results import Results, SweepSummary
from sweep.report.best import cards
from tests.analysis.answering.mixed_grids import Row, hold_final, row_of

SUMMARY = SweepSummary("cpu-quickstart", "", 0.0, 1.0, False, {}, {}, {})
SLOWED = "the sentinel kernel was 33 % slower than its best on this device (contention or throttling); in 4 of 4 blocks"
PLACE = ("squeezenet", "local-avx2")


def clean(tuner: str, level: int | None, ms: float, runtime: str = "tvm", spread: float = 0.01) -> Row:
    ends = (ms, ms * (1 - spread), ms * (1 + spread))
    return row_of(*PLACE, tuner, level, runtime=runtime, ms=ends)


def slowed(tuner: str, level: int | None, ms: float, runtime: str = "tvm", error: str = SLOWED) -> Row:
    ends = (ms, ms * 0.99, ms * 1.01)
    return row_of(*PLACE, tuner, level, runtime=runtime, ms=ends, status="tainted", error=error)


def without(tuner: str, level: int, status: str) -> Row:
    return row_of(*PLACE, tuner, level, status=status)


def said(*rows: Row) -> str:
    return answer(Results(SUMMARY, rows))


def test_a_tainted_cell_far_below_the_clean_best_is_the_faster_one() -> None:
    """A quickstart beside other work: untuned at O1 was clean at 383 ms, tuned cells were slowed at 17.6 and 21.3."""
    rows = [clean("none", 1, 383.0), slowed("xgb", 3, 17.6), slowed("random", 3, 21.3)]
    assert said(*rows) == (
        "squeezenet on local-avx2: xgb at O3 on native takes at most 17.8 ms, disturbed as it was, at least 21.3x "
        "faster than untuned at O1 on native, which is fastest of those measured undisturbed at 383 ms "
        "(1 other tainted cell beats that as well); "
        "open: 2 tainted cells may be faster (`sweep run ... --retry-tainted`)."
    )
    assert marks(rows) == {rows[1]["cell_id"]: "faster", rows[2]["cell_id"]: "faster"}
    [best] = best_cells(rows)
    assert best.known_ms == pytest.approx(17.776)
    [card] = cards([best])
    assert (card.ms, card.how) == ("≤ 17.8", "xgb at O3 on native")
    assert card.facts[0] == ("disturbed: it takes at most this", "bad")
    assert card.facts[1] == ("at least 21.3x faster than untuned at O1 on native, the best undisturbed one", "good")


def test_a_tainted_cell_that_may_be_faster_is_open_and_the_clean_one_is_fastest_of_those_undisturbed() -> None:
    rows = [clean("none", 1, 10.0), slowed("xgb", 3, 12.0)]
    assert said(*rows) == (
        "squeezenet on local-avx2: untuned at O1 on native is fastest of those measured undisturbed at 10.0 ms; "
        "open: 1 tainted cell may be faster (`sweep run ... --retry-tainted`)."
    )
    assert marks(rows) == {rows[0]["cell_id"]: "best so far"}


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("failed", "`sweep run ... --retry-failed`"),
        ("pending", "`sweep run ...` again"),
        ("skipped", "`sweep run ...` again"),
    ],
)
def test_a_cell_without_a_latency_leaves_open_which_is_fastest(status: str, command: str) -> None:
    rows = [clean("none", 1, 10.0), without("xgb", 3, status)]
    told = describe_best(best_cells(rows)[0])
    assert "untuned at O1 on native is fastest of those measured at 10.0 ms" in told
    assert told.endswith(f"; open: 1 {status} cell may be faster ({command})")


def test_a_number_that_a_changed_clock_made_is_no_bound() -> None:
    rows = [clean("none", 1, 383.0), slowed("xgb", 3, 17.6, error="the CPU's clock went from 2000 to 3000 MHz")]
    assert Reading.of(rows[1]).bound is None
    assert "untuned at O1 on native is fastest of those measured undisturbed at 383 ms" in said(*rows)
    assert said(rows[1]) == ("No latency that can be relied on yet: 1 cell tainted (`sweep run ... --retry-tainted`).")


def test_where_everything_is_tainted_the_answer_is_a_bound() -> None:
    rows = [slowed("none", 1, 300.0), slowed("xgb", 3, 17.6), slowed("-", None, 9.0, "onnxruntime")]
    assert said(*rows) == (
        "squeezenet on local-avx2: xgb at O3 on native takes at most 17.8 ms, disturbed as it was, "
        "open against ONNX Runtime, which was disturbed as well; "
        "open: 3 tainted cells may be faster (`sweep run ... --retry-tainted`)."
    )


def test_another_runtime_that_is_faster_is_what_to_ship() -> None:
    rows = [clean("none", 3, 10.0), clean("xgb", 3, 2.0), clean("-", None, 1.0, "onnxruntime")]
    assert said(*rows) == (
        "squeezenet on local-avx2: ship ONNX Runtime here: it is fastest at 1.00 ms; of what is compiled, "
        "xgb at O3 on native is fastest at 2.00 ms, 5.00x faster than untuned, still 2.00x slower than ONNX Runtime."
    )
    rows[2] = slowed("-", None, 1.0, "onnxruntime")
    told = said(*rows)
    assert "ship ONNX Runtime here: it takes, disturbed as it was, at most 1.01 ms; of what is compiled" in told
    assert "still at least 1.96x slower than ONNX Runtime; open: 1 tainted cell may be faster" in told


def test_cells_that_tie_are_among_the_fastest_and_a_comparison_tells_them_apart() -> None:
    rows = [clean("none", 3, 2.01), clean("xgb", 3, 2.0), clean("random", 1, 9.0)]
    assert said(*rows) == (
        "squeezenet on local-avx2: xgb at O3 on native is among the fastest at 2.00 ms, not to be told apart from "
        "untuned, 1 other cell cannot be told apart from it (`sweep compare DIR A B --measure-more`)."
    )


def test_a_row_from_before_there_was_the_column_is_read_by_its_sentences() -> None:
    row = slowed("xgb", 3, 17.6, error="the reference kernel was 33 % slower than its best; in 2 of 3 blocks")
    assert Reading.of(row).bound == "upper"
    assert Reading.of(row | {"error": "2 foreign threads wanted the cores; who knows"}).bound is None
    assert Reading.of(row | {"latency_bound": None}).bound is None


def spared(tuner: str, level: int, low_ms: float) -> Row:
    row = row_of(*PLACE, tuner, level, status="skipped", error=f"predicted to take {low_ms} to {2 * low_ms} ms")
    return row | {"predicted_low_ms": low_ms, "predicted_high_ms": 2 * low_ms, "predicted_latency_ms": 1.4 * low_ms}


def test_a_cell_that_was_spared_because_it_is_predicted_slower_leaves_nothing_open_and_is_told_of() -> None:
    audited = clean("none", 2, 190.0) | {"predicted_low_ms": 200.0, "predicted_high_ms": 400.0}
    rows = [clean("xgb", 3, 20.0), audited, spared("none", 0, 150.0), spared("none", 1, 140.0)]
    assert said(*rows) == (
        "squeezenet on local-avx2: xgb at O3 on native is fastest at 20.0 ms.\n"
        "2 of 4 cells were not measured: each is predicted to be slower than the best of its model and device, with "
        "99 %. Of 1 such cell measured all the same, 1 was faster than predicted."
    )
    rows[1]["predicted_low_ms"] = 150.0
    assert said(*rows).endswith("Of 1 such cell measured all the same, none was faster than predicted.")
    assert marks(rows)[rows[0]["cell_id"]] == "best"


def test_a_planner_that_skipped_nothing_says_so() -> None:
    rows = [clean("xgb", 3, 20.0), clean("none", 0, 150.0)]
    asked, only_orders = (
        replace(SUMMARY, conditions={"planner": {"predictor": "self", "prune": prune}}) for prune in (0.5, 0.0)
    )
    told = "squeezenet on local-avx2: xgb at O3 on native is fastest at 20.0 ms."
    assert said(*rows) == answer(Results(only_orders, rows)) == told
    assert answer(Results(asked, rows)) == (
        f"{told}\nThe planner skipped no cell: it was sure of none, with 99 %, that another is faster."
    )
    audited = rows[1] | {"predicted_low_ms": 140.0, "predicted_high_ms": 400.0}
    assert answer(Results(asked, [rows[0], audited])) == told, "it was sure of this one, and measured it all the same"


def test_a_spared_cell_that_may_be_faster_after_all_is_open() -> None:
    """The best that it was compared with was disturbed, or measured again and is slower."""
    rows = [clean("xgb", 3, 20.0), spared("none", 0, 15.0)]
    assert "1 skipped cell may be faster" in said(*rows)


def test_a_disturbed_winner_of_a_final_takes_at_most_what_it_took_there() -> None:
    """Of a small network beside other work: its blocks had 0.49 ms, and its slots in the final 0.047."""
    rows = [slowed("xgb", 3, 0.48), slowed("none", 3, 0.5), slowed("-", None, 0.3, "onnxruntime")]
    hold_final(rows, [(1.0, 1.0), (1.5, 1.01), (2.0, 1.01)], True, [(0.0474, 0.0481), (0.0711, 0.072), (0.095, None)])
    assert said(*rows) == (
        "squeezenet on local-avx2: xgb at O3 on native is fastest and takes, disturbed as it was, at most 0.0481 ms, "
        "1.50x faster than untuned in turns, 2.00x faster than ONNX Runtime in turns."
    )
    assert [Reading.of(row).as_ms for row in rows] == ["<= 0.0481", "<= 0.0720", "<= 0.303"]


def test_slots_of_a_final_bound_no_cell_that_was_measured_undisturbed() -> None:
    rows = [clean("xgb", 3, 10.0), clean("none", 3, 20.0)]
    hold_final(rows, [(1.0, 1.0), (2.0, 1.01)], True, [(9.0, 9.1), (18.0, 18.1)])
    assert "is fastest at 10.0 ms" in said(*rows)


def of_precision(row: Row, precision: str) -> Row:
    return {**row, "precision": precision, "cell_id": f"{row['cell_id']} {precision}"}


def test_a_float_winner_is_held_against_the_rival_at_its_fastest_and_in_floats() -> None:
    rivals = [clean("-", None, 10.0, "onnxruntime"), of_precision(clean("-", None, 4.0, "onnxruntime"), "int8")]
    assert said(clean("xgb", 3, 5.0), *rivals) == (
        "squeezenet on local-avx2: ship ONNX Runtime (int8) here: it is fastest at 4.00 ms; of what is compiled, "
        "xgb at O3 on native is fastest at 5.00 ms, still 1.25x slower than ONNX Runtime (int8), "
        "2.00x faster than ONNX Runtime in float32."
    )
    told = said(clean("xgb", 3, 5.0), clean("-", None, 10.0, "onnxruntime"))
    assert told.endswith("2.00x faster than ONNX Runtime.")


def test_a_rival_that_is_not_as_good_as_the_study_wants_is_not_what_a_cell_is_held_against() -> None:
    objective = json.dumps({"minimise": "latency", "subject_to": {"accuracy_drop": 0.01}})
    rivals = [clean("-", None, 10.0, "onnxruntime"), of_precision(clean("-", None, 4.0, "onnxruntime"), "int8")]
    rows = [
        {**row, "objective": objective, "accuracy_drop": drop}
        for row, drop in zip([clean("xgb", 3, 5.0), *rivals], (0.0, 0.0, 0.2), strict=True)
    ]
    assert said(*rows).splitlines()[0] == (
        "squeezenet on local-avx2: xgb at O3 on native is fastest at 5.00 ms, 2.00x faster than ONNX Runtime."
    )


def test_a_rival_in_the_same_precision_that_breaks_a_limit_is_not_named() -> None:
    objective = json.dumps({"minimise": "latency", "subject_to": {"accuracy_drop": 0.01}})
    rivals = [clean("-", None, 10.0, "onnxruntime"), of_precision(clean("-", None, 4.0, "onnxruntime"), "int8")]
    rows = [
        {**row, "objective": objective, "accuracy_drop": drop}
        for row, drop in zip([of_precision(clean("xgb", 3, 3.0), "int8"), *rivals], (0.0, 0.0, 0.2), strict=True)
    ]
    told = said(*rows).splitlines()[0]
    assert told.endswith("is fastest at 3.00 ms, 3.33x faster than ONNX Runtime.")
