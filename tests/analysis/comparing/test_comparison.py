"""Two cells beside each other."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sweep.analysis.comparing.comparison import compare_cells, find_cell
from sweep.analysis.comparing.measured_cell import MeasuredCell, PairedBlocks
from sweep.analysis.statistics import Verdict
from sweep.errors import StudyError

NAMES = ("net native xgb O3 one", "net native none O3 one", "net native xgb O1 one", "net onnxruntime one")
ROWS = [{"cell_id": f"{index}abcdef", "cell_name": name} for index, name in enumerate(NAMES)]
FAST = (1.000e-3, 1.001e-3, 1.002e-3, 1.000e-3, 0.999e-3, 1.001e-3, 1.000e-3, 1.001e-3) * 3
SLOW = tuple(1.2 * value for value in FAST)


def cell(
    run_secs: tuple[float, ...] = FAST, name: str = "a", host: str | None = "box", at: float = 0.0, **row: Any
) -> MeasuredCell:
    """With blocks of four repeats, ten seconds apart, from the second `at` on."""
    conditions = {"host": host, "cpu_model": "cpu"} if host else {}
    given = {
        "cell_id": name,
        "cell_name": name,
        "status": "done",
        "error": None,
        "device": "d",
        "conditions_json": json.dumps(conditions),
        "is_stable": True,
        "reference_kernel_ms": 7.0,
    }
    repeats = [
        {"cell_id": name, "kind": "repeat", "block": index // 4, "seconds": seconds, "t": at + 10.0 * (index // 4)}
        for index, seconds in enumerate(run_secs)
    ]
    return MeasuredCell.of(given | row, repeats)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [("net native xgb O3 one", 0), ("2abcdef", 2), ("1abc", 1), ("O1", 2), ("onnxruntime", 3), ("none O3", 1)],
)
def test_a_cell_is_meant_by_name_id_or_words(wanted: str, index: int) -> None:
    assert find_cell(ROWS, wanted) is ROWS[index]


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [("xgb", "means several cells"), ("O7", "is no cell"), ("1a", "is no cell"), (" ", "is no cell")],
)
def test_what_means_no_cell_or_several_is_refused_with_the_names(wanted: str, problem: str) -> None:
    with pytest.raises(StudyError, match=problem) as caught:
        find_cell(ROWS, wanted)
    assert NAMES[0] in str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "verdict", "words"),
    [
        (FAST, SLOW, "FASTER", "a is faster, 1.20x"),
        (SLOW, FAST, "SLOWER", "a is slower, 1.20x"),
        (FAST, FAST, "SAME", "they are the same within 2 %"),
        (FAST[:1], SLOW, "AMBIGUOUS", "these repeats do not tell which is faster"),
    ],
)
def test_verdicts_in_words_and_as_data(
    first: tuple[float, ...], second: tuple[float, ...], verdict: str, words: str
) -> None:
    found = compare_cells(cell(first, "a"), cell(second, "b", at=2.0))
    assert found.as_text().splitlines()[-1] == f"{verdict}: {words}"
    data = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert data["verdict"] == verdict
    assert [one["name"] for one in data["cells"]] == ["a", "b"]
    assert data["cells"][1]["run_secs"] == list(second)
    if verdict != "AMBIGUOUS":
        assert data["ratio_ci_low"] <= data["ratio"] <= data["ratio_ci_high"]


def test_hosts_are_not_compared_unless_told() -> None:
    here, there = cell(host="box"), cell(SLOW, "b", host="other")
    with pytest.raises(StudyError, match=r"different hosts \(got 'box, cpu; other, cpu'\); allowed: .*--across-hosts"):
        compare_cells(here, there)
    assert "note: measured on two hosts: box, cpu and other, cpu" in compare_cells(here, there, True).as_text()
    with pytest.raises(StudyError, match="unknown"):
        compare_cells(here, cell(host=None))


def test_an_unstable_measurement_is_told_of() -> None:
    assert "a is not stable" in compare_cells(cell(is_stable=False), cell(SLOW, "b")).as_text()


@pytest.mark.parametrize(
    "changes", [{"status": "failed", "error": "out of memory"}, {"status": "done", "run_secs": ()}]
)
def test_a_cell_without_a_measurement_says_why(changes: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match="has no measurement to compare") as caught:
        cell(**{"run_secs": FAST, **changes})
    assert ("out of memory" in str(caught.value)) == (changes["status"] == "failed")


def test_drift_between_cells_that_did_not_take_turns_is_allowed_for() -> None:
    """The same thing, 5 % slower minutes later, as the sentinel kernel was: nothing can be said."""
    slower = tuple(1.05 * value for value in FAST)
    apart = compare_cells(cell(), cell(slower, "b", at=600.0, reference_kernel_ms=7.35))
    assert apart.found.verdict is Verdict.AMBIGUOUS
    assert "note: they did not take turns: the interval allows for a drift of 6 % between them" in apart.as_text()
    assert apart.as_dict()["took_turns"] is False

    in_turns = compare_cells(cell(), cell(slower, "b", at=2.0, reference_kernel_ms=7.35))
    assert in_turns.found.verdict is Verdict.FASTER
    assert in_turns.as_dict()["took_turns"] is True
    assert "did not take turns" not in in_turns.as_text()

    steady = compare_cells(cell(), cell(slower, "b", at=600.0))
    assert steady.found.verdict is Verdict.FASTER
    assert steady.found.ratio.ci_high is not None
    assert in_turns.found.ratio.ci_high is not None
    assert steady.found.ratio.ci_high == pytest.approx(1.01 * in_turns.found.ratio.ci_high)


def pair(first: float, second: float, cells: tuple[str, str] = ("a", "b"), tainted: bool = False) -> dict[str, Any]:
    blocks = [{"run_secs": [seconds] * 3, "tainted": ["busy"] if tainted else []} for seconds in (first, second)]
    return {"cells": list(cells), "blocks": blocks}


def test_pairs_measured_later_decide_once_there_are_enough() -> None:
    one, other = cell(), cell(FAST, "b", at=2.0)
    noise = (0.999e-3, 1.000e-3, 1.001e-3)
    told = [pair(noise[index % 3], 1.1 * noise[(index + 1) % 3]) for index in range(4)]
    few = compare_cells(one, other, more=PairedBlocks.of(told, "a", "b"))
    assert (few.found.verdict, few.paired, few.pairs_wanted) == (Verdict.SAME, None, 1)

    told += [pair(1.1e-3, 1.0e-3, ("b", "a")), pair(5.0, 1.0, tainted=True), pair(9.0, 1.0, ("a", "c"))]
    found = compare_cells(one, other, more=PairedBlocks.of(told, "a", "b"))
    assert found.found.verdict is Verdict.FASTER
    assert found.found.ratio.value == pytest.approx(1 / 1.1, rel=1e-3)
    assert found.as_dict()["pairs"] == {"measured": 5, "disturbed": 1, "used": 5, "looks": 1}
    assert "the ratio is of 5 pairs of blocks measured in turns after the sweep, looked at 1 time" in found.as_text()
    assert "1 pair of blocks measured later did not count: disturbed" in found.as_text()
    assert found.as_look() == f"5 pairs: {found.as_look().partition(': ')[2]}"
    assert found.as_look().endswith("FASTER")

    turned = compare_cells(other, one, more=PairedBlocks.of(told, "b", "a"))
    assert turned.found.verdict is Verdict.SLOWER
    assert turned.found.ratio.value == pytest.approx(1 / found.found.ratio.value)


def test_what_was_disturbed_is_compared_by_later_pairs_alone() -> None:
    disturbed = cell(SLOW, "b", at=2.0, status="tainted", error="3 foreign threads wanted the cores")
    found = compare_cells(cell(), disturbed)
    assert found.found.verdict is Verdict.AMBIGUOUS
    assert found.as_dict()["ratio_ci_high"] is None
    assert found.as_dict()["ratio_bound"] == "at_least"
    assert "note: b was slowed, so its times are the most that it takes: 3 foreign" in found.as_text()

    told = [pair(1.0e-3 + index * 1e-7, 1.2e-3) for index in range(5)]
    later = compare_cells(cell(), disturbed, more=PairedBlocks.of(told, "a", "b"))
    assert later.found.verdict is Verdict.FASTER
    assert "was slowed" not in later.as_text()
    assert later.as_dict()["ratio_bound"] == "exact"


SLOWED = {"status": "tainted", "error": "the sentinel kernel was 33 % slower than its best on this device"}
CLOCK = {"status": "tainted", "error": "the CPU's clock went from 2000 to 3000 MHz"}


def test_what_was_slowed_and_is_faster_all_the_same_is_faster() -> None:
    """As beside other work on a shared machine: tuned and slowed at 21.3 ms, untuned and clean at 383 ms."""
    tuned, untuned = [21.3 * value for value in FAST], [383.0 * value for value in FAST]
    found = compare_cells(cell(tuple(tuned), **SLOWED), cell(tuple(untuned), "b", at=600.0))
    assert found.found.verdict is Verdict.FASTER
    assert found.found.ratio.ci_low is None
    assert found.ratio_bound == "at_most"
    factor = float(found.as_text().split("a is faster, at least ")[1].split("x")[0])
    assert 0.95 * 383 / 21.3 < factor <= 383 / 21.3
    turned = compare_cells(cell(tuple(untuned), "b"), cell(tuple(tuned), at=600.0, **SLOWED))
    assert (turned.found.verdict, turned.ratio_bound) == (Verdict.SLOWER, "at_least")
    assert "b is slower, at least 17" in turned.as_text()


@pytest.mark.parametrize(
    ("first", "second"),
    [(SLOWED, SLOWED), (CLOCK, {}), ({}, CLOCK), ({}, SLOWED), (SLOWED, CLOCK)],
    ids=["both slowed", "clock of the first", "clock of the second", "the slower one slowed", "neither"],
)
def test_what_the_bounds_do_not_tell_is_ambiguous(first: dict[str, str], second: dict[str, str]) -> None:
    found = compare_cells(cell(FAST, **first), cell(SLOW, "b", at=2.0, **second))
    assert found.found.verdict is Verdict.AMBIGUOUS


def in_final(
    name: str,
    slot_s: float,
    rounds: int = 18,
    final: str | None = "f",
    heats: int | None = None,
    *,
    leader_slot_s: float | None = None,
    is_slowed: bool = False,
    **row: Any,
) -> MeasuredCell:
    """A cell that something slowed tenfold when it was measured alone, and its slots in a final of one heat or more;
    where it was held side by side, with those of the leader beside them. is_slowed: two of three moments, threefold.
    """
    block = 2 if heats is None else 2 * rounds // heats
    error = "2 foreign threads wanted the cores; in 3 of 3 blocks"
    given = {
        "cell_id": name,
        "cell_name": name,
        "status": "tainted",
        "error": error,
        "latency_bound": "upper",
        "device": "d",
        "conditions_json": json.dumps({"host": "box", "cpu_model": "cpu"}),
        "latency_ms_median": 10e3 * slot_s,
        "latency_ms_min": 8e3 * slot_s,
        "latency_ms_ci_low": 9e3 * slot_s,
        "latency_ms_ci_high": 11e3 * slot_s,
        "latency_ms_max": 12e3 * slot_s,
        "final": final,
        "final_ms_median": 1e3 * slot_s,
        "final_ms_ci_high": 1.01e3 * slot_s,
    }
    alone = {"cell_id": name, "kind": "repeat", "seconds": 10 * slot_s, "t": 1.0}
    repeats = [{**alone, "block": index // 4} for index in range(12)]
    factors = [(1 + 0.002 * (index % 3)) * (3 if is_slowed and index % 3 else 1) for index in range(2 * rounds)]
    repeats += [
        {
            "cell_id": name,
            "kind": "final",
            "block": index // block,
            "seconds": slot_s * factor,
            "leader_seconds": leader_slot_s and leader_slot_s * factor,
            "t": 9.0,
        }
        for index, factor in enumerate(factors)
    ]
    return MeasuredCell.of(given | row, repeats)


def test_two_that_met_in_a_final_are_compared_by_it_although_both_were_disturbed() -> None:
    found = compare_cells(in_final("a", 1.0e-3), in_final("b", 1.1e-3))

    assert found.verdict is Verdict.FASTER
    assert found.found.ratio.value == pytest.approx(1 / 1.1)
    assert (found.ratio_bound, found.final_rounds) == ("exact", 18)
    assert found.notes() == ["the ratio is of 18 rounds in turns, in the final of the sweep"]
    assert found.as_dict()["took_turns"] is True


def test_where_a_final_has_heats_their_differences_are_the_error() -> None:
    """The first is always as fast; the second by 1 % from heat to heat. Rounds alone would say what heats do not."""
    first = in_final("a", 1.0e-3, heats=6)
    second = replace(first, cell_id="b", heats=tuple((1.03e-3 + 1e-5 * (at % 3),) * 6 for at in range(6)))

    found = compare_cells(first, second)

    assert (found.final_rounds, found.verdict) == (18, Verdict.FASTER)
    low, high = found.found.ratio.ci_low, found.found.ratio.ci_high
    assert low is not None
    assert high is not None
    assert high - low > 0.03


def test_one_of_far_longer_calls_has_its_round_of_each_heat_held_against_those_of_the_other_in_it() -> None:
    """From heat to heat both take longer."""
    leader, far = in_final("a", 1e-3, rounds=20, heats=4), in_final("b", 50e-3, rounds=4, heats=4)
    assert [len(of.heats) for of in (leader, far)] == [4, 4]
    slower = [tuple((1 + at) * seconds for seconds in slots) for at, slots in enumerate(leader.heats)]
    found = compare_cells(
        replace(leader, heats=tuple(slower)), replace(far, heats=tuple((0.05 * (1 + at),) * 2 for at in range(4)))
    )

    assert found.found.ratio.value == pytest.approx(1 / 50, rel=0.01)
    assert (found.final_rounds, found.verdict) == (4, Verdict.FASTER)


@pytest.mark.parametrize("heats", [None, 6])
def test_two_that_ran_side_by_side_are_compared_slot_by_slot_with_what_ran_beside_them(heats: int | None) -> None:
    """The first led, and ran beside a third at other moments."""
    held: dict[str, Any] = {"heats": heats, "leader_slot_s": 1e-3, "final_held": "side by side"}
    found = compare_cells(in_final("a", 1e-3, **held), in_final("b", 1.2e-3, is_slowed=True, **held))

    assert found.found.ratio.value == pytest.approx(1 / 1.2)
    assert found.notes() == ["the ratio is of 18 rounds side by side, in the final of the sweep"]


@pytest.mark.parametrize("row", [{"final": "g"}, {"final": None}, {"latency_bound": None}])
def test_what_was_in_no_final_with_it_is_not_compared_by_one(row: dict[str, Any]) -> None:
    assert compare_cells(in_final("a", 1.0e-3), in_final("b", 1.1e-3, **row)).final_rounds == 0


def test_what_was_slowed_takes_at_most_what_it_took_in_its_final() -> None:
    """Slowed tenfold when it was alone it was not to be told apart from a clean one that takes twice as long."""
    slowed, clean = in_final("a", 1.0e-3), cell(tuple(2 * value for value in FAST), "b")
    found = compare_cells(slowed, clean)

    assert (found.verdict, found.ratio_bound) == (Verdict.FASTER, "at_most")
    assert found.found.ratio.ci_high is not None
    assert 0.5 <= found.found.ratio.ci_high < 0.53
    assert any("its times in a final are the most that it takes" in note for note in found.notes())
    assert compare_cells(in_final("a", 1.0e-3, final_ms_ci_high=None), clean).verdict is Verdict.AMBIGUOUS
