"""Two sweeps cell by cell: what is shared, what may be said of each, and how seldom all of it is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from sweep.analysis.comparing.fail_rule import parse_rule
from sweep.analysis.comparing.measured_cell import MeasuredCell, PairedBlocks
from sweep.analysis.comparing.shared_cells import SweepComparison, SweepSide
from sweep.analysis.comparing.two_sweeps import compare_sweeps, level_for
from sweep.analysis.statistics import Verdict
from sweep.errors import StudyError

RULE = parse_rule("slower > 5%")
BLOCKS, REPEATS = 5, 5


def row(cell_id: str, runtime: str = "tvm", **values: Any) -> dict[str, Any]:
    own = {"cell_id": cell_id, "cell_name": cell_id, "model": "net", "runtime": runtime, "device": "d"}
    measured = {"status": "done", "error": None, "latency_ms_median": 1.0, "is_stable": True, "latency_bound": "exact"}
    about = {"conditions_json": json.dumps({"host": "box"}), "reference_kernel_ms": 7.0, "runtime_version": "1"}
    return own | measured | about | values


def side(
    cells: Mapping[str, Any], rows: Mapping[str, dict[str, Any]] | None = None, at: float = 0.0, **more: Any
) -> SweepSide:
    """cells: seconds of each, in blocks; None where it was not measured."""
    given = {cell_id: (rows or {}).get(cell_id) or row(cell_id) for cell_id in cells}
    measured = {}
    for cell_id, blocks in cells.items():
        if blocks is not None:
            repeats = [
                {"cell_id": cell_id, "kind": "repeat", "block": index, "seconds": seconds, "t": at + 10.0 * index}
                for index, block in enumerate(blocks)
                for seconds in block
            ]
            measured[cell_id] = MeasuredCell.of(given[cell_id], repeats)
    return SweepSide("a", given, measured, **more)


def noisy(draw: np.random.Generator, ms: float, block: float = 0.006, repeat: float = 0.004) -> list[list[float]]:
    """As a quiet host gives them: 0.6 % from block to block, 0.4 % within."""
    return [
        [ms * 1e-3 * float(np.exp(shift + draw.normal(0, repeat))) for _ in range(REPEATS)]
        for shift in draw.normal(0, block, BLOCKS)
    ]


def steady(ms: float) -> list[list[float]]:
    return noisy(np.random.default_rng(1), ms, 0.001, 0.001)


def test_every_shared_cell_has_a_verdict_and_the_rest_is_named() -> None:
    old = side({"same": steady(1), "slow": steady(1), "fast": steady(1), "gone": steady(1), "broke": steady(1)})
    broke = row("broke", status="failed", error="out of memory")
    new = side(
        {"same": steady(1), "slow": steady(1.2), "fast": steady(0.8), "added": steady(1), "broke": None},
        {"broke": broke},
    )

    found = compare_sweeps(old, new, rule=RULE)

    assert {cell.name: str(cell.verdict) for cell in found.cells} == {
        "same": "SAME", "slow": "SLOWER", "fast": "FASTER", "broke": "AMBIGUOUS",
    }  # fmt: skip
    assert (found.baseline_alone, found.new_alone) == (("gone",), ("added",))
    assert found.cells[-1].notes == ["the new one is failed: out of memory"]
    assert (found.verdict, found.outcome) == (Verdict.SLOWER, "broken")
    assert found.level == level_for(4) == pytest.approx(1 - 0.01 / 4)
    told = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert told["counts"] == {"FASTER": 1, "SLOWER": 1, "SAME": 1, "AMBIGUOUS": 1}
    assert [cell["fail_on"] for cell in told["cells"]] == ["held", "broken", "held", "open"]


def test_nothing_shared_and_all_disturbed_are_no_answer_to_a_rule() -> None:
    assert compare_sweeps(side({"a": steady(1)}), side({"b": steady(1)}), rule=RULE).outcome == "open"
    slowed = row("a", status="tainted", error="the sentinel kernel took 20 % longer", latency_bound="upper")
    assert (
        compare_sweeps(side({"a": steady(1)}, {"a": slowed}), side({"a": steady(1)}, {"a": slowed}), rule=RULE).outcome
        == "open"
    )


def test_what_was_slowed_bounds_the_ratio() -> None:
    slowed = {"a": row("a", status="tainted", error="foreign", latency_bound="upper")}
    held = compare_sweeps(side({"a": steady(1.2)}), side({"a": steady(1)}, slowed), rule=RULE)
    assert (held.outcome, held.cells[0].verdict, held.cells[0].found.ratio.ci_low) == ("held", Verdict.FASTER, None)
    broken = compare_sweeps(side({"a": steady(1)}, slowed), side({"a": steady(1.2)}), rule=RULE)
    assert (broken.outcome, broken.cells[0].verdict) == ("broken", Verdict.SLOWER)


def test_hosts_are_compared_when_told_or_when_both_are_measured_now() -> None:
    there = {"a": row("a", conditions_json=json.dumps({"host": "other"}))}
    old, new = side({"a": steady(1)}), side({"a": steady(1.2)}, there)
    with pytest.raises(StudyError, match=r"different hosts .*--measure-more"):
        compare_sweeps(old, new)
    assert compare_sweeps(old, new, across_hosts=True).verdict is Verdict.SLOWER
    waiting = compare_sweeps(old, new, measured_now={})
    assert waiting.cells[0].notes == ["measured 0 pairs in turns; 5 are needed to tell"]
    pair = (tuple(steady(1)[0]), tuple(steady(1)[0]))
    assert compare_sweeps(old, new, measured_now={"a": PairedBlocks((pair,) * 5)}).verdict is Verdict.SAME


def test_pairs_go_on_until_the_rule_has_an_answer() -> None:
    """3 % slower beyond doubt is a verdict, and leaves `slower > 3%` open."""
    draw = np.random.default_rng(3)
    pairs = tuple(((1.03e-3 * float(np.exp(draw.normal(0, 0.004))),) * 3, (1e-3,) * 3) for _ in range(8))
    old, new = side({"a": steady(1)}), side({"a": steady(1)})
    verdict = compare_sweeps(old, new, measured_now={"a": PairedBlocks(pairs)})
    assert verdict.verdict is Verdict.SLOWER
    assert verdict.cells[0].as_dict()["pairs"] == 5
    ruled = compare_sweeps(old, new, measured_now={"a": PairedBlocks(pairs)}, rule=parse_rule("slower > 3%"))
    assert (ruled.outcome, ruled.cells[0].as_dict()["pairs"]) == ("open", 8)


def test_the_same_code_is_the_same_and_shows_what_the_machine_did() -> None:
    """One library took 10 % longer in the second sweep, so that 10 % of another say nothing either."""
    libraries = {"one": "abc", "other": "def"}
    old = side(
        {"one": steady(1), "other": steady(1), "ort": steady(1)},
        {"ort": row("ort", "onnxruntime")},
        libraries=libraries,
    )
    new = side({"one": steady(1.1), "other": steady(1.1)}, libraries=libraries | {"other": "xyz"})

    found = compare_sweeps(old, new, rule=RULE)

    assert [(cell.verdict, cell.is_of_pairs) for cell in found.cells] == [
        (Verdict.SAME, False),
        (Verdict.AMBIGUOUS, False),
    ]
    assert found.cells[0].notes == ["both libraries are the same, byte by byte"]
    assert found.machine == (1.0, pytest.approx(1.1))
    assert compare_sweeps(old, new, across_hosts=True).counts["SLOWER"] == 2  # then machines are what one asks about
    other_runtime = {"one": row("one", runtime_version="2"), "other": row("other", runtime_version="2")}
    changed = side({"one": steady(1.1), "other": steady(1.1)}, other_runtime, libraries=libraries)
    assert compare_sweeps(old, changed).counts["SLOWER"] == 2


def test_what_was_disturbed_stays_open_though_its_code_is_the_same() -> None:
    """Unless both are run now: then the same code is the same."""
    slowed = {"a": row("a", status="tainted", error="foreign", latency_bound="upper")}
    both = [side({"a": steady(1)}, slowed, libraries={"a": "abc"}) for _ in range(2)]
    assert compare_sweeps(*both, rule=RULE).outcome == "open"
    assert compare_sweeps(*both, rule=RULE, measured_now={}).outcome == "held"


def test_another_runtime_of_the_same_network_is_the_same_code() -> None:
    ort = {"ort": row("ort", "onnxruntime")}
    old = side({"ort": steady(1)}, ort, networks={"net": "1"})
    assert compare_sweeps(old, side({"ort": steady(1.2)}, ort, networks={"net": "1"})).verdict is Verdict.SAME
    changed = compare_sweeps(old, side({"ort": steady(1.2)}, ort, networks={"net": "2"}))
    assert changed.verdict is Verdict.SLOWER
    assert changed.cells[0].notes[0] == "the two networks are of different files"


def simulated(seed: int, slower: float, cells: int = 14) -> SweepComparison:
    """Two sweeps of one study on a quiet host, the first cell `slower`: noise of blocks and repeats, and a drift of the
    host of up to 1 % between the two.
    """
    draw = np.random.default_rng(seed)
    names = [f"cell {index}" for index in range(cells)]
    times = {name: float(draw.uniform(1, 50)) for name in names}
    drift = 1 + float(draw.uniform(-0.01, 0.01))
    old = side({name: noisy(draw, ms) for name, ms in times.items()})
    new = side(
        {name: noisy(draw, ms * drift * (slower if name == names[0] else 1)) for name, ms in times.items()}, at=1e5
    )
    return compare_sweeps(old, new)


def test_twenty_pairs_of_equal_sweeps_give_no_alarm() -> None:
    found = [simulated(seed, 1.0) for seed in range(20)]
    assert sum(one.counts["SLOWER"] + one.counts["FASTER"] for one in found) == 0


def test_a_cell_made_slower_by_8_percent_is_found_in_19_of_20() -> None:
    found = [simulated(seed, 1.08) for seed in range(20)]
    assert sum(one.cells[0].verdict is Verdict.SLOWER for one in found) >= 19
    assert sum(one.counts["SLOWER"] for one in found) <= 20
