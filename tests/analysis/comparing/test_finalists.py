"""Who takes part in a final."""

from __future__ import annotations

import math

from sweep.analysis.comparing.finalists import Candidate, finalists, is_near
from sweep.analysis.rows.bounds import EXACT, UPPER, Reading
from sweep.study.spec import Cell


def candidate(
    tuner: str, ms: float, *, runtime: str = "tvm", model: str = "net", bound: str | None = EXACT, spread: float = 0.01
) -> Candidate:
    level = 3 if runtime == "tvm" else None
    cell = Cell(model, "native", tuner, level, "NCHW", "float32", 1, "here", runtime)
    if bound is None:
        return Candidate(cell, Reading(math.inf, 0.0, math.inf, None))
    return Candidate(cell, Reading(ms, ms * (1 - spread) if bound == EXACT else 0.0, ms * (1 + spread), bound))


def chosen(
    *candidates: Candidate, best: int = 3, baseline: str = "onnxruntime", most: int = 16, seconds: float = 20.0
) -> list[list[str]]:
    compiles = any(one.cell.is_compiled for one in candidates)
    found = finalists(candidates, best, baseline, compiles=compiles, most=most, seconds=seconds)
    return [[one.cell.tuner if one.cell.is_compiled else one.cell.runtime for one in group] for group in found]


def test_the_best_compiled_cells_and_the_baseline_take_part_whatever_it_takes() -> None:
    rival = candidate("-", 9.0, runtime="onnxruntime")

    assert chosen(
        candidate("a", 1.2), candidate("b", 1.0), candidate("c", 1.1), candidate("d", 1.05), candidate("e", 7.0), rival
    ) == [["b", "d", "c", "onnxruntime"]]


def test_a_cell_that_is_slower_by_far_beyond_doubt_takes_no_part_but_a_disturbed_one_does() -> None:
    assert chosen(candidate("a", 1.0), candidate("b", 1.4), candidate("c", 2.0)) == [["a", "b"]]
    assert chosen(candidate("a", 1.0), candidate("c", 2.0, bound=UPPER)) == [["a", "c"]]


def test_what_was_disturbed_takes_part_beyond_the_best_where_the_final_has_time_to_tell_it_slower() -> None:
    cells = [candidate(tuner, ms) for tuner, ms in (("a", 1.0), ("b", 1.1), ("c", 1.2))]
    slowed = candidate("slowed", 500.0, bound=UPPER)

    assert chosen(*cells, slowed, best=2) == [["a", "b", "slowed"]]
    assert chosen(*cells, slowed, best=2, seconds=3.9) == [["a", "b"]]
    assert chosen(*cells, slowed, candidate("-", 9.0, runtime="onnxruntime"), best=2, most=3) == [
        ["a", "b", "onnxruntime"]
    ]


def test_what_was_disturbed_and_took_far_longer_is_not_measured_again_for_its_own_sake() -> None:
    leader, near, far = (
        candidate(tuner, ms, bound=UPPER) for tuner, ms in (("leader", 1.0), ("near", 3.0), ("far", 3.1))
    )

    assert [is_near(one, [leader, near, far]) for one in (leader, near, far)] == [True, True, False]


def test_what_nobody_knows_takes_no_part_and_one_alone_has_no_final() -> None:
    assert chosen(candidate("a", 1.0), candidate("b", 1.0, bound=None)) == []
    assert chosen(candidate("-", 1.0, runtime="onnxruntime"), candidate("a", 1.0, bound=None)) == []


def test_other_runtimes_take_part_where_they_come_near() -> None:
    near, far = candidate("-", 1.2, runtime="openvino"), candidate("-", 5.0, runtime="litert")
    baseline = candidate("-", 3.0, runtime="onnxruntime")

    assert chosen(candidate("a", 1.0), far, near, baseline) == [["a", "onnxruntime", "openvino"]]


def test_where_nothing_is_compiled_the_runtimes_compete() -> None:
    rivals = [candidate("-", ms, runtime=name) for name, ms in (("onnxruntime", 2.0), ("openvino", 1.5))]

    assert chosen(*rivals) == [["onnxruntime", "openvino"]]


def test_each_model_has_its_own_and_no_more_than_there_is_room_for() -> None:
    cells = [candidate(tuner, 1.0, model=model) for model in ("one", "other") for tuner in "abc"]

    assert chosen(*cells, most=2) == [["a", "b"], ["a", "b"]]
