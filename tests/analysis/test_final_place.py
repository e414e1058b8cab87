"""What a final tells of each contender's time: a median, and what the cell takes at most."""

from __future__ import annotations

import pytest

from sweep.analysis.final_place import places_of
from sweep.analysis.rows.bounds import UPPER, Reading
from sweep.analysis.statistics import summarise
from sweep.planning.results.final_result import Contender, FinalResult

SLOTS = tuple(1e-3 * (1 + 0.002 * (at % 5)) for at in range(20))
SAME_CLOCK = {"cpu_mhz_before": 2000.0, "cpu_mhz_after": 2050.0}
OTHER_CLOCK = {"cpu_mhz_before": 2000.0, "cpu_mhz_after": 3000.0}


def final_of(*conditions: dict[str, float]) -> FinalResult:
    contenders = (
        Contender(str(index), "", True, tuple((1 + index) * value for value in SLOTS), 20, seen)
        for index, seen in enumerate(conditions)
    )
    return FinalResult(contenders=tuple(contenders), looks=1, took_s=1.0)


def test_the_slots_of_a_final_are_a_measurement_that_bounds_the_time() -> None:
    places = places_of("f", final_of(SAME_CLOCK, SAME_CLOCK))

    assert places["0"].median_s == pytest.approx(1.004e-3)
    assert places["0"].most_s is not None
    assert 1.004e-3 <= places["0"].most_s < 1.02e-3
    own = Reading.of_summary(summarise([[0.0099, 0.01], [0.0101, 0.0102]]), UPPER, places["0"])
    assert own.high_ms == pytest.approx(places["0"].most_s * 1e3)
    assert own.low_ms == 0.0


def test_where_the_clock_changed_the_slots_bound_nothing() -> None:
    places = places_of("f", final_of(SAME_CLOCK, OTHER_CLOCK))

    assert (places["0"].most_s is None, places["1"].most_s is None) == (False, True)
