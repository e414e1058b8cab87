"""What makes a block of repeats tainted, and what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.taint import DRIFTED, SLOWED, BlockConditions, block_median, least_tainted, summed_up, taints
from sweep.planning.results.disturbance import Disturbance

QUIET: dict[str, Any] = {
    "cores": [1],
    "thread_cores": [1],
    "runtime_threads": 1,
    "competitors_before": 0,
    "competitors_after": 0,
    "cpu_mhz_before": 3000.0,
    "cpu_mhz_after": 2990.0,
    "at_before": 100.0,
    "at_after": 102.0,
    "busy_s_before": 50.0,
    "busy_s_after": 52.0,
    "own_s_before": 3.0,
    "own_s_after": 4.98,
    "stolen_s_before": 0.0,
    "stolen_s_after": 0.02,
}
CLEAN = BlockConditions([7e-3] * 5, [7.1e-3] * 5, 7e-3, QUIET, cores=(1,), threads=1)


def around(before_s: float, after_s: float, best_s: float | None = 7e-3) -> BlockConditions:
    return replace(CLEAN, reference_before_s=[before_s], reference_after_s=[after_s], reference_best_s=best_s)


def under(**changed: Any) -> BlockConditions:
    return replace(CLEAN, conditions=QUIET | changed)


@pytest.mark.parametrize(
    "seen",
    [
        CLEAN,
        around(7e-3, 7.2e-3),
        around(8.5e-3, 8.5e-3),
        around(9e-3, 9e-3, best_s=None),
        replace(CLEAN, reference_before_s=[7e-3, 7e-3, 70e-3]),  # one interrupt is no contention
        replace(CLEAN, reference_before_s=[], reference_after_s=[], reference_best_s=None),
        replace(CLEAN, conditions={}),  # TVM's stock server tells nothing
        replace(CLEAN, conditions=dict.fromkeys(QUIET)),
        replace(CLEAN, cores=()),
        under(at_after=100.1, own_s_after=3.02, busy_s_after=50.1),  # too short to say who had the core
        under(thread_cores=None),
    ],
)
def test_a_quiet_block_is_clean(seen: BlockConditions) -> None:
    assert taints(seen) == []


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (
            around(9e-3, 9e-3),
            "the sentinel kernel was 29 % slower than its best on this device (contention or throttling)",
        ),
        (around(7e-3, 8.5e-3), "the sentinel kernel went from 7.00 to 8.50 ms"),
        (around(8.5e-3, 7e-3), "the sentinel kernel went from 8.50 to 7.00 ms"),
        (under(competitors_before=1), "1 foreign thread wanted the cores"),
        (under(competitors_after=3), "3 foreign threads wanted the cores"),
        (under(own_s_after=4.0), "others took 50 % of the cores' time"),
        (under(stolen_s_after=0.4), "the hypervisor took 20 % of the cores' time"),
        (under(cpu_mhz_after=2400.0), "the CPU's clock went from 3000 to 2400 MHz"),
        (under(cpu_mhz_before=2400.0), "the CPU's clock went from 2400 to 2990 MHz"),
        (under(thread_cores=[0, 1]), "it ran on cores 0, 1 instead of core 1"),
        (replace(CLEAN, cores=(0, 1)), "it ran on core 1 instead of cores 0, 1"),
        (replace(under(thread_cores=None), cores=(0,)), "it ran on core 1 instead of core 0"),
        (under(runtime_threads=2), "it ran with 2 threads instead of 1"),
    ],
)
def test_each_disturbance_has_its_reason(seen: BlockConditions, reason: str) -> None:
    assert [str(each) for each in taints(seen)] == [reason]


def test_several_reasons_are_all_told() -> None:
    assert len(taints(replace(around(9e-3, 7e-3), conditions=QUIET | {"competitors_after": 1}))) == 3


@given(st.floats(1e-4, 1.0), st.floats(0.5, 2.0), st.floats(0.5, 1.0))
def test_the_bounds_are_what_they_say(before_s: float, ratio: float, best: float) -> None:
    after_s = before_s * ratio
    slowest, fastest = max(before_s, after_s), min(before_s, after_s)
    reasons = taints(around(before_s, after_s, best_s=fastest * best))
    is_slow, has_drifted = slowest > (1 + SLOWED) * fastest * best, slowest > (1 + DRIFTED) * fastest
    assert len(reasons) == is_slow + has_drifted


@pytest.mark.parametrize(
    ("blocks", "kept"),
    [
        ([CLEAN], 0),
        ([around(9e-3, 9e-3), CLEAN], 1),
        ([around(10e-3, 10e-3), around(9e-3, 9e-3), around(9.5e-3, 9.5e-3)], 1),
        ([around(9e-3, 7e-3), around(9.2e-3, 9.2e-3)], 1),  # two reasons against one
        ([under(competitors_after=1), under(competitors_after=2)], 0),
    ],
)
def test_the_least_disturbed_block_is_kept(blocks: list[BlockConditions], kept: int) -> None:
    assert least_tainted(blocks) == kept


def test_no_values_have_no_median() -> None:
    assert block_median([]) is None
    assert block_median([3.0, 1.0, 2.0]) == 2.0


def test_disturbances_of_several_blocks_are_told_once_at_their_worst() -> None:
    blocks = [
        taints(replace(around(9.2e-3, 9.2e-3), conditions=QUIET | {"competitors_after": 1})),
        [],
        taints(around(15.3e-3, 15.3e-3)),
        taints(under(competitors_before=12)),
        taints(under(competitors_before=2)),
    ]
    slow = "the sentinel kernel was 119 % slower than its best on this device (contention or throttling)"
    assert [str(each) for each in summed_up(blocks)] == [
        f"{slow}; in 2 of 5 blocks",
        "12 foreign threads wanted the cores; in 3 of 5 blocks",
    ]
    assert summed_up([[], []]) == []


def test_the_worst_drift_is_the_largest_and_not_that_of_the_longest_time() -> None:
    blocks = [taints(around(20e-3, 25e-3, best_s=None)), taints(around(7e-3, 14e-3, best_s=None))]
    (worst,) = summed_up(blocks)
    assert worst.text == "the sentinel kernel went from 7.00 to 14.0 ms"
    assert worst.measured == pytest.approx(1.0)


def test_unknown_disturbances_are_one_only_where_they_are_worded_alike() -> None:
    words = [Disturbance(text=text) for text in ("a meteor", "a flood", "a meteor")]
    assert [str(each) for each in summed_up([[word] for word in words])] == [
        "a meteor; in 2 of 3 blocks",
        "a flood; in 1 of 3 blocks",
    ]
