"""Every number of every sentence against the rows, on grids as disturbed machines leave them."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.standing import best_cells, marks
from sweep.analysis.rows.results import Results, SweepSummary
from tests.analysis.answering.answer_checker import check_answer
from tests.analysis.answering.mixed_grids import Row, mixed_grids, row_of

SUMMARY = SweepSummary("mixed", "", 0.0, 1.0, False, {}, {}, {})
EXAMPLES = settings.default.max_examples
SLOW_TO_DRAW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(
    max_examples=3 * EXAMPLES,
    deadline=None,
    suppress_health_check=SLOW_TO_DRAW,
    report_multiple_bugs=False,
)
@given(mixed_grids())
def test_every_number_of_every_sentence_holds(rows: list[Row]) -> None:
    check_answer(answer(Results(SUMMARY, rows)), rows)


@settings(deadline=None, suppress_health_check=SLOW_TO_DRAW)
@given(mixed_grids())
def test_a_cell_is_marked_best_only_where_none_that_competes_can_be_open(rows: list[Row]) -> None:
    marked = marks(rows)
    for best in best_cells(rows):
        mark = marked.get(best.row["cell_id"])
        final = best.row["final"]
        met = [row for row in best.competitors if final and row["final"] == final]
        is_open = any(row["status"] != "done" and row not in met for row in best.competitors)
        expected = "best so far" if is_open else "best"
        if best.row["status"] == "done" or final:
            assert mark == expected
        else:
            assert mark == ("faster" if any(row["status"] == "done" for row in best.competitors) else None)


def test_a_group_without_a_compiled_cell_is_told_beside_one_with_some() -> None:
    """As of networks that are trained, which compiled cells are not."""
    rows = [
        row_of("alpha", "here", "none", 3, ms=(1.0, 0.99, 1.01)),
        row_of("beta", "here", "none", None, runtime="onnxruntime", ms=(2.0, 1.99, 2.01)),
    ]
    told = answer(Results(SUMMARY, rows))
    assert told.endswith("In 1 of 2 model-device pairs: no latency of a compiled cell: there is none.")
