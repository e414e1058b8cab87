"""The pictures of tuning, from tables that may be damaged."""

from __future__ import annotations

from typing import Any

import pytest

from sweep.report.figures.tuning_curves import tuning_curves

ROW = {
    "cell_id": "c", "model": "net", "device": "here", "target": "native", "tuner": "xgb", "opt_level": 3,
    "layout": "NCHW", "precision": "float32", "batch": 1, "runtime": "tvm", "latency_ms_median": 1.0, "status": "done",
}  # fmt: skip
POINTS = [{"trial": trial, "seconds": float(trial), "best_latency_ms": 10.0 / trial} for trial in (1, 2, 4)]


def drawn(points: list[dict[str, Any]]) -> list[Any]:
    return list(tuning_curves("net", [ROW], {"c": points}, {"xgb": "#123456"}))


@pytest.mark.parametrize("axis", ["trial", "seconds", "best_latency_ms"])
@pytest.mark.parametrize("value", [None, float("nan"), "2"])
def test_points_without_a_place_are_left_out(axis: str, value: Any) -> None:
    without = drawn([*POINTS[:1], *POINTS[2:]])
    assert [one.data for one in drawn([POINTS[0], {**POINTS[1], axis: value}, POINTS[2]])] == [
        one.data for one in without
    ]
    assert drawn([{**point, axis: value} for point in POINTS]) == []


def test_no_latency_is_zero_on_a_logarithmic_axis() -> None:
    assert len(drawn(POINTS)) == 2
    assert drawn([{**point, "best_latency_ms": 0.0} for point in POINTS]) == []
