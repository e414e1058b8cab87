"""Rounds of one measurement on a made-up device: what each visit should take, when it is enough, what is told."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from sweep.analysis.rows.measurements import repeats_of
from sweep.devices.measuring.rounds import Rounds
from sweep.planning.results.disturbance import Disturbance
from sweep.planning.results.measurement import Measurement

MEASURE = {
    "repeat": 10,
    "max_repeat": 50,
    "rounds": 5,
    "min_repeat_ms": 100,
    "warmup": 1,
    "number": None,
    "timeout_s": 600.0,
    "relative_interval": 0.02,
    "time_limit_s": 30.0,
    "cache_flush": False,
}


class Device:
    """Takes what a visit asks for; each visit has a level of its own, and the kernel's times as planned."""

    def __init__(self, call_s: float = 0.01, between: float = 0.001, kernel_s: list[float] | None = None) -> None:
        self.call_s, self.between, self.kernel_s = call_s, between, kernel_s or []
        self.random, self.asked, self.pauses = random.Random(0), [], []

    def visit(self, options: dict[str, Any]) -> dict[str, Any]:
        assert options["time_limit_s"] > 0
        assert options["timeout_s"] > 0
        index = len(self.asked)
        self.asked.append(options)
        level = self.call_s * (1 + self.between * self.random.uniform(-1, 1))
        kernel_s = self.kernel_s[index] if index < len(self.kernel_s) else 7e-3
        return {
            "run_secs": [level + 1e-9 * (100 * index + repeat) for repeat in range(options["repeat"])],
            "warmup_secs": [2 * level],
            "number": options["number"] or max(1, round(0.1 / self.call_s)),
            "stopped_by": "repeats",
            "reference_before_s": [kernel_s] * 7,
            "reference_after_s": [kernel_s] * 7,
            "reference_best_s": min([7e-3, *self.kernel_s[: index + 1]]) if index else kernel_s,
            "tainted": [],
            "conditions": {"host": "box", "at_before": float(index)},
            "block": 0,
            "set_aside": [],
            "peak_memory_bytes": 100 + index,
        }


def measure(device: Device, visit_s: float = 1.0, **changed: Any) -> dict[str, Any]:
    rounds = Rounds(MEASURE | changed, cores=(), threads=1)
    while (options := rounds.next_visit()) is not None:
        device.pauses.append(rounds.pause_s)
        rounds.take(device.visit(options), visit_s)
        assert len(device.asked) < 100
    result = rounds.result()
    assert json.loads(json.dumps(result)) == result
    return result


def test_repeats_are_spread_over_the_rounds_and_told_by_block() -> None:
    device = Device()
    result = measure(device)
    assert [(one["repeat"], one["max_repeat"], one["retakes"]) for one in device.asked] == [(3, 3, 0)] * 5
    assert [one["number"] for one in device.asked] == [None, 10, 10, 10, 10]
    assert (result["stopped_by"], result["tainted"], result["set_aside"]) == ("interval", [], [])
    assert [block["block"] for block in result["blocks"]] == [0, 1, 2, 3, 4]
    assert [value for block in repeats_of(Measurement.of_job(result)) for value in block] == result["run_secs"]
    assert [len(block) for block in repeats_of(Measurement.of_job(result))] == [3] * 5
    assert (len(result["warmup_secs"]), len(result["reference_before_s"]), result["number"]) == (5, 35, 10)
    assert result["device_s"] == 5.0
    assert (result["conditions"], result["peak_memory_bytes"]) == ({"host": "box", "at_before": 0.0}, 100)
    assert [block["conditions"] for block in result["blocks"]] == [
        {},
        *({"at_before": at} for at in (1.0, 2.0, 3.0, 4.0)),
    ]
    assert device.pauses == [0.0] * 5


def test_it_goes_on_until_the_interval_is_narrow_or_the_most_is_taken() -> None:
    device = Device(between=0.2)
    result = measure(device)
    assert result["stopped_by"] == "repeats"
    assert len(result["run_secs"]) == 50
    assert [one["repeat"] for one in device.asked] == [3] * 5 + [6] * 2 + [12, 11]
    assert len(measure(Device(between=0.02))["blocks"]) in (7, 9)


@pytest.mark.parametrize(
    ("changed", "sizes"),
    [
        ({"repeat": 3, "max_repeat": 3}, [3]),
        ({"repeat": 1, "max_repeat": 1}, [1]),
        ({"repeat": 10, "max_repeat": 10}, [4, 4, 2]),
        ({"repeat": 30}, [6] * 5),
        ({"rounds": 2}, [5, 5]),
        ({"time_limit_s": 1.0}, [3, 1, 1, 2, 2]),
        ({"timeout_s": 3.0}, [3] * 2),
    ],
)
def test_rounds_go_with_the_other_options(changed: dict[str, Any], sizes: list[int]) -> None:
    device = Device()
    measure(device, relative_interval=1.0, **changed)
    assert [one["repeat"] for one in device.asked] == sizes


def test_a_slow_network_gets_no_more_time_for_a_narrow_interval_than_a_fast_one() -> None:
    slow = measure(Device(call_s=0.3, between=0.2))
    assert (slow["stopped_by"], len(slow["run_secs"])) == ("time", 15)  # 4.5 s; 50 repeats of 0.1 s would be 5 s
    assert len(measure(Device(call_s=0.2, between=0.2))["run_secs"]) == 21
    assert len(measure(Device(call_s=0.2, between=0.2), relative_interval=0.0)["run_secs"]) == 50


def test_where_time_is_short_there_are_more_blocks_with_fewer_values() -> None:
    device = Device(call_s=4.0)
    result = measure(device)
    assert [one["repeat"] for one in device.asked] == [3, 1, 1, 1, 1]
    assert (result["stopped_by"], len(result["run_secs"]), len(result["blocks"])) == ("interval", 7, 5)
    slow = Device(call_s=11.0)
    assert measure(slow)["stopped_by"] == "time"
    assert [one["repeat"] for one in slow.asked] == [3]


def test_later_visits_need_no_warm_up_beside_the_output_check() -> None:
    device = Device()
    measure(device, warmup=3)
    assert [one["warmup"] for one in device.asked] == [3, 2, 2, 2, 2]


def test_one_round_is_a_measurement_in_one_go_with_its_own_rules() -> None:
    device = Device()
    result = measure(device, rounds=1)
    assert device.asked == [MEASURE | {"rounds": 1}]
    assert "blocks" not in result
    assert repeats_of(Measurement.of_job(result)) == [result["run_secs"]]


def test_what_takes_all_the_time_in_one_visit_is_not_visited_again() -> None:
    device = Device(call_s=2.0)
    result = measure(device, number=1, time_limit_s=10.0)
    assert (len(device.asked), result["stopped_by"]) == (1, "time")


def test_a_tainted_block_is_taken_again_at_a_later_visit() -> None:
    device = Device(kernel_s=[7e-3, 9e-3, 7e-3, 9.5e-3, 9.5e-3])
    result = measure(device)
    assert len(device.asked) == 8
    assert [block["block"] for block in result["blocks"]] == [0, 2, 5, 6, 7]
    assert [block["block"] for block in result["set_aside"]] == [1, 3, 4]
    assert result["tainted"] == []
    assert all(len(block["tainted"]) == 1 for block in result["set_aside"])
    assert device.pauses == [0.0, 0.0, 1.0, 0.0, 1.0, 4.0, 0.0, 0.0]


def test_an_early_block_is_judged_by_what_later_ones_show() -> None:
    """The first blocks know nothing of how fast the kernel can be."""
    device = Device(kernel_s=[9e-3, 9e-3])
    result = measure(device)
    assert [block["block"] for block in result["set_aside"]] == [0, 1]
    assert len(result["blocks"]) == 5


def test_what_stays_tainted_keeps_its_least_disturbed_blocks() -> None:
    device = Device(kernel_s=[7e-3, *[9.5e-3] * 3, *[9e-3] * 3, *[10e-3] * 10])
    result = measure(device)
    assert result["stopped_by"] == "disturbed"
    assert len(device.asked) == 7
    assert [block["block"] for block in result["blocks"]] == [0, 4, 5, 6]
    assert [block["block"] for block in result["set_aside"]] == [1, 2, 3]
    assert [str(Disturbance.from_json(each)) for each in result["tainted"]] == [
        "the sentinel kernel was 29 % slower than its best on this device (contention or throttling); in 3 of 4 blocks"
    ]


def test_enough_clean_blocks_do_without_the_others() -> None:
    device = Device(kernel_s=[7e-3] * 4 + [9.5e-3] * 20)
    result = measure(device)
    assert (len(result["blocks"]), len(result["set_aside"]), result["tainted"]) == (4, 6, [])


def test_what_there_is_so_far_is_told_after_each_visit() -> None:
    device, rounds, told = Device(), Rounds(MEASURE, cores=(), threads=1), []
    while (options := rounds.next_visit()) is not None:
        rounds.take(device.visit(options), 1.0)
        told.append(rounds.so_far())
    assert [one["values"] for one in told] == [3, 6, 9, 12, 15]
    assert told[-1]["median_s"] == pytest.approx(sorted(rounds.result()["run_secs"])[7])
