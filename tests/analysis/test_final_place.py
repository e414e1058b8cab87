"""What a final tells of each contender's time: a median, and what the cell takes at most."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweep.analysis.final_place import blocks_of_final, places_of
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


def test_what_heats_differ_by_is_in_the_interval() -> None:
    """Within each heat nothing varies. Taken as rounds of one, as finals of earlier versions were, they say less."""
    speeds = (1.00, 1.03, 0.99, 1.02, 1.01)
    leader = Contender("leader", "", True, (1e-3,) * 20, 20, SAME_CLOCK, rounds_by_heat=(2,) * 5)
    other = Contender("other", "", True, tuple(1.1e-3 * speed for speed in speeds for _ in range(4)), 20, SAME_CLOCK)

    in_heats = FinalResult(contenders=(leader, replace(other, rounds_by_heat=(2,) * 5)), looks=1)
    at_once = FinalResult(contenders=(replace(leader, rounds_by_heat=()), other), looks=1)

    place, narrow = places_of("f", in_heats)["other"], places_of("f", at_once)["other"]
    assert place.rounds == narrow.rounds == 10
    assert place.ci_low < narrow.ci_low < 1.11 < narrow.ci_high < place.ci_high
    assert blocks_of_final(in_heats.contenders[1])[1] == pytest.approx([1.1e-3 * 1.03] * 4)
    assert [len(block) for block in blocks_of_final(other)] == [2] * 10


@pytest.mark.parametrize("rounds", [(3, 3, 3), (3, 3, 3, 4), (24,)])
def test_slots_that_are_not_those_of_its_heats_are_no_place(rounds: tuple[int, ...]) -> None:
    whole = Contender("whole", "", True, (1e-3,) * 24, 20, rounds_by_heat=(3, 3, 3, 3))

    assert places_of("f", FinalResult(contenders=(whole, replace(whole, cell="b")), looks=1))
    assert not places_of("f", FinalResult(contenders=(whole, replace(whole, rounds_by_heat=rounds)), looks=1))


def test_side_by_side_a_slot_is_held_against_that_of_the_leader_beside_it() -> None:
    """Both are slowed threefold from the fifth round on, at other moments than the leader's mean is of."""
    slowed = tuple(value * (3 if at >= 10 else 1) for at, value in enumerate(SLOTS))
    heats = (2,) * 5
    leader = Contender("a", "", True, SLOTS, 20, SAME_CLOCK, leader_secs=SLOTS, rounds_by_heat=heats)
    slots = tuple(1.2 * value for value in slowed)
    other = Contender("b", "", False, slots, 20, SAME_CLOCK, leader_secs=slowed, rounds_by_heat=heats)
    result = FinalResult(contenders=(leader, other), looks=1, took_s=1.0, is_side_by_side=True)
    places = places_of("f", FinalResult.from_json(result.to_json()))

    assert places["b"].ratio == pytest.approx(1.2)
    assert (places["b"].ci_low, places["b"].ci_high) == pytest.approx((1.2, 1.2))
    assert {place.held for place in places.values()} == {"side by side"}
    cut = replace(other, leader_secs=slowed[:-1])
    assert places_of("f", replace(result, contenders=(leader, cut))) == {}, "of a damaged ledger"


def test_what_an_older_version_held_took_turns() -> None:
    told = final_of(SAME_CLOCK, SAME_CLOCK).to_json()
    assert not {"is_side_by_side", "in_turns_because"} & set(told)
    assert "leader_secs" not in told["contenders"][0]
    assert FinalResult.from_json(told).held == "in turns"


def test_where_the_clock_changed_the_slots_bound_nothing() -> None:
    places = places_of("f", final_of(SAME_CLOCK, OTHER_CLOCK))

    assert (places["0"].most_s is None, places["1"].most_s is None) == (False, True)
