"""Answers, marks and ranking under the limits of a study; fronts of two quantities."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.answering.answer import answer
from sweep.analysis.answering.pareto import front, front_lines, points
from sweep.analysis.answering.standing import best_cells, marks
from sweep.analysis.rows.objective_fit import fit_of, fulfils
from sweep.analysis.rows.results import Results
from sweep.report.table_columns import main_columns, ranked
from sweep.study.objective import Objective
from tests.analysis.answering.mixed_grids import Row, mixed_grids
from tests.analysis.answering.test_standing import SUMMARY, clean, slowed, without

MB = 10**6
LIMITS = Objective("latency", {"artifact_bytes": 8 * MB, "peak_memory_bytes": 60 * MB})


def limited(row: Row, size: float | None, memory: float | None = 10, of: Objective = LIMITS) -> Row:
    """size, memory: in MB."""
    values = {"artifact_bytes": size, "peak_memory_bytes": memory}
    return (
        row
        | {name: None if value is None else round(value * MB) for name, value in values.items()}
        | {"objective": of.to_json()}
    )


def said(*rows: Row) -> list[str]:
    return answer(Results(SUMMARY, rows)).splitlines()


def test_the_fastest_that_keeps_the_limits_is_best() -> None:
    rows = [
        limited(clean("xgb", 3, 2.0), 9.1),
        limited(clean("random", 3, 3.0), 7.0),
        limited(clean("none", 3, 5.0), 6.0),
    ]
    [best] = best_cells(rows)
    assert best.row is rows[1]
    assert marks(rows) == {rows[1]["cell_id"]: "best"}
    first, limits, passed_by = said(*rows)
    assert first == (
        "squeezenet on local-avx2: random at O3 on native is fastest at 3.00 ms, 1.67x faster than untuned."
    )
    assert limits == "Limits: artifact_bytes up to 8.00 MB, peak_memory_bytes up to 60.0 MB; 1 cell above them."
    assert passed_by == (
        "squeezenet on local-avx2: xgb at O3 on native is faster at 2.00 ms and is passed by: artifact_bytes "
        "9.10 MB above 8.00 MB."
    )
    assert [row["tuner"] for row in ranked(rows)] == ["random", "none", "xgb"]
    shown = [row | {"speedup_vs_untuned": None, "ratio_to_baseline": None, "is_stable": True} for row in rows]
    status = next(column for column in main_columns(shown) if column.title == "status")
    assert [status.text(row) for row in shown] == ["beyond limits", "best", ""]


def test_a_fast_cell_that_answers_worse_is_refused() -> None:
    limits = Objective("latency", {"accuracy_drop": 0.01})
    drops = {"xgb": 0.053, "random": 0.004, "none": 0.0}
    rows = [
        clean(tuner, 3, ms) | {"accuracy_drop": drops[tuner], "objective": limits.to_json()}
        for tuner, ms in (("xgb", 2.0), ("random", 3.0), ("none", 5.0))
    ]
    [best] = best_cells(rows)
    assert best.row["tuner"] == "random"
    told = said(*rows)
    assert "Limits: accuracy_drop up to 0.0100; 1 cell above it." in told
    assert any("xgb at O3 on native is faster at 2.00 ms and is passed by" in line for line in told)
    assert any("accuracy_drop 0.0530 above 0.0100" in line for line in told)


def test_where_no_cell_keeps_them_the_nearest_is_named() -> None:
    rows = [
        limited(clean("xgb", 3, 2.0), 9.1),
        limited(clean("none", 3, 5.0), 7.0, 90),
        limited(clean("random", 3, 9.0), 40),
    ]
    assert best_cells(rows) == []
    assert marks(rows) == {}
    assert said(*rows) == [
        "Limits: artifact_bytes up to 8.00 MB, peak_memory_bytes up to 60.0 MB; 3 cells above them.",
        (
            "squeezenet on local-avx2: no measured cell is known to keep the limits; nearest is xgb at O3 on native at "
            "2.00 ms (artifact_bytes 9.10 MB above 8.00 MB)."
        ),
    ]


def test_what_is_not_known_keeps_no_limit_and_is_said() -> None:
    wanted = Objective("latency", {"accuracy_drop": 0.01, "artifact_bytes": 8 * MB})
    rows = [
        limited(clean("xgb", 3, 2.0), 1, of=wanted),
        limited(clean("none", 3, 5.0), 7, of=wanted) | {"accuracy_drop": 0.0},
    ]
    assert [fulfils(row) for row in rows] == [False, True]
    assert [fit_of(row).meets for row in rows] == [None, True]
    [best] = best_cells(rows)
    assert best.row is rows[1]
    assert said(*rows)[-1] == (
        "Limits: accuracy_drop up to 0.0100, artifact_bytes up to 8.00 MB; "
        "1 cell left out since accuracy_drop is not known."
    )
    assert "accuracy_drop is not known" in said(rows[0])[-1]


def test_a_cell_that_was_not_measured_may_yet_keep_them() -> None:
    rows = [
        limited(clean("none", 3, 5.0), 7),
        limited(without("xgb", 3, "pending"), None, None),
        limited(slowed("random", 3, 9.0), 9),
    ]
    [best] = best_cells(rows)
    assert [row["tuner"] for row in best.still_open] == ["xgb"]  # the tainted one is too large, however fast


def test_another_runtime_is_shipped_only_within_the_limits() -> None:
    rival = clean("-", None, 1.0, runtime="onnxruntime")
    rows = [limited(clean("xgb", 3, 2.0), 7), limited(rival, None)]
    assert best_cells(rows)[0].to_ship is None
    assert best_cells(rows)[0].against_baseline is not None  # how it stands to it is told all the same
    of_memory = Objective("latency", {"peak_memory_bytes": 60 * MB})
    assert best_cells([limited(row, None, 9, of_memory) for row in rows])[0].to_ship is not None


@given(mixed_grids(), st.lists(st.sampled_from([None, 1, 7, 9]), min_size=40, max_size=40))
def test_whatever_is_best_keeps_the_limits(rows: list[Row], sizes: list[float | None]) -> None:
    given_rows = [limited(row, sizes[index % 40]) for index, row in enumerate(rows)]
    for one in best_cells(given_rows):
        assert fulfils(one.row)
        assert one.to_ship is None or fulfils(one.to_ship.row)
    answer(Results(SUMMARY, given_rows))


@st.composite
def sized_rows(draw: st.DrawFn) -> list[Row]:
    values = st.one_of(st.none(), st.integers(1, 6))
    return [
        limited(clean("xgb", index, float(draw(st.integers(1, 6)))), draw(values))
        for index in range(draw(st.integers(0, 12)))
    ]


@given(sized_rows())
def test_no_cell_of_a_front_is_beaten_and_every_other_is(rows: list[Row]) -> None:
    def beats(one: Row, other: Row) -> bool:
        pairs = [(one[name], other[name]) for name in ("latency_ms_median", "artifact_bytes")]
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    found = front(rows, "artifact_bytes")
    known = points(rows, "artifact_bytes")
    on_it = {id(row) for row in found}
    for row in known:
        assert (id(row) in on_it) == (not any(beats(other, row) for other in known))
    assert [row["latency_ms_median"] for row in found] == sorted(row["latency_ms_median"] for row in found)


def test_a_front_is_listed_where_there_are_limits() -> None:
    rows = [limited(clean("xgb", 3, 2.0), 9), limited(clean("none", 3, 5.0), 6), limited(clean("random", 3, 6.0), 7)]
    assert front_lines(rows) == [
        (
            "squeezenet on local-avx2, latency against artifact_bytes: xgb at O3 on native 2.00 ms 9.00 MB; "
            "untuned at O3 on native 5.00 ms 6.00 MB"
        )
    ]
    assert front_lines([row | {"objective": None} for row in rows]) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"minimise": "latency", "subject_to": {"x": "y"}}'])
def test_an_objective_of_another_version_is_none(text: str) -> None:
    row: dict[str, Any] = clean("xgb", 3, 1.0) | {"objective": text}
    assert fulfils(row)
