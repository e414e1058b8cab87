"""Blocks of repeats on a made-up device: which are taken, which is kept, and what is told of the rest."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sweep.devices.measuring.blocks import WAITS_S, MeasuringPlace, TimingTarget, measure_blocks
from sweep.devices.measuring.timing import Sampling
from sweep.study.measure_options import Measure

SAMPLING = Sampling.of({"repeat": 4, "min_repeat_ms": 0, "warmup": 1, "number": None, "timeout_s": 60.0})


class Device:
    """Runs something of 0.1 s, and a kernel as slow as the plan says; time passes only as it works and waits."""

    def __init__(self, kernel_s: list[float], competitors: list[int] | None = None) -> None:
        self.kernel_s, self.competitors = iter(kernel_s), iter(competitors or [])
        self.now_s, self.calls, self.waits = 0.0, 0, []

    def clock(self, number: int, repeat: int) -> list[float]:
        self.now_s += 0.1 * number * repeat
        self.calls += repeat
        return [0.1 + self.calls * 1e-9] * repeat

    def time_kernel(self) -> list[float]:
        value = next(self.kernel_s, None)
        return [] if value is None else [value] * 3

    def observe(self) -> dict[str, Any]:
        return {"cores": [1], "at": self.now_s, "competitors": next(self.competitors, 0)}

    def sleep(self, wait_s: float) -> None:
        self.waits.append(wait_s)
        self.now_s += wait_s

    def left_of(self, limit_s: float) -> Callable[[], float]:
        return lambda: limit_s - self.now_s


def measure(
    device: Device, best_s: float | None = None, limit_s: float = 60.0, sampling: Sampling = SAMPLING, **extra: Any
) -> dict[str, Any]:
    apparatus = TimingTarget(device.clock, device.time_kernel, device.observe, extra)
    place = MeasuringPlace(cores=(1,), threads=1, best_kernel_s=best_s)
    result = measure_blocks(apparatus, sampling, place, device.left_of(limit_s), device.sleep)
    assert json.loads(json.dumps(result)) == result
    return result


def test_a_clean_block_is_all() -> None:
    device = Device([7e-3, 7.1e-3])
    result = measure(device, cache_flush_bytes=0)
    assert (result["block"], result["tainted"], result["set_aside"], device.waits) == (0, [], [], [])
    assert len(result["run_secs"]) == 4
    assert (result["number"], len(result["warmup_secs"]), result["stopped_by"]) == (1, 1, "repeats")
    assert (result["reference_before_s"], result["reference_after_s"]) == ([7e-3] * 3, [7.1e-3] * 3)
    assert result["reference_best_s"] == 7e-3
    assert result["conditions"]["cache_flush_bytes"] == 0
    assert result["conditions"]["threads"] == 1


def test_a_tainted_block_is_set_aside_and_measured_again() -> None:
    device = Device([9e-3, 7e-3, 7e-3, 7e-3])
    result = measure(device)
    assert (result["block"], result["tainted"], device.waits) == (1, [], [WAITS_S[0]])
    (aside,) = result["set_aside"]
    assert aside["block"] == 0
    assert len(aside["tainted"]) == 2
    assert len(aside["run_secs"]) == 4
    assert set(aside["run_secs"]).isdisjoint(result["run_secs"])
    assert aside["conditions"]["at_after"] < result["conditions"]["at_before"]


def test_what_stays_tainted_keeps_its_best_block() -> None:
    device = Device([10e-3, 10e-3, 9e-3, 9e-3, 9.5e-3, 9.5e-3])
    result = measure(device, best_s=7e-3)
    assert device.waits == list(WAITS_S)
    assert result["block"] == 1
    assert [each["text"] for each in result["tainted"]] == [
        "the sentinel kernel was 29 % slower than its best on this device (contention or throttling)"
    ]
    assert [one["block"] for one in result["set_aside"]] == [0, 2]
    assert result["reference_best_s"] == 7e-3


@pytest.mark.parametrize("retakes", [0, 1])
def test_a_study_says_how_often_it_is_taken_again(retakes: int) -> None:
    device = Device([9e-3] * 6)
    asked = Measure(repeat=4, min_repeat_ms=0, rounds=1, retakes=retakes)
    result = measure(device, best_s=7e-3, sampling=Sampling.of(asked.options))
    assert result["tainted"]
    assert device.waits == list(WAITS_S[:retakes])


def test_the_best_of_earlier_measurements_counts_and_is_carried_on() -> None:
    assert measure(Device([7e-3, 7e-3]), best_s=9e-3)["reference_best_s"] == 7e-3
    assert measure(Device([9e-3] * 6), best_s=7e-3)["tainted"]
    assert not measure(Device([9e-3] * 2))["tainted"]


def test_a_block_that_does_not_fit_is_not_begun() -> None:
    """Nothing that was measured may be lost to the session's time limit."""
    device = Device([9e-3, 7e-3, 7e-3, 7e-3])
    result = measure(device, limit_s=5.0)
    assert (result["block"], device.waits, result["set_aside"]) == (0, [], [])
    assert result["tainted"]


def test_without_a_kernel_the_conditions_judge() -> None:
    clean = measure(Device([]))
    assert (clean["reference_before_s"], clean["reference_best_s"], clean["tainted"]) == ([], None, [])
    busy = measure(Device([], competitors=[1, 0, 0, 0]))
    assert (busy["block"], busy["tainted"]) == (1, [])
    assert [each["text"] for each in busy["set_aside"][0]["tainted"]] == ["1 foreign thread wanted the cores"]


@pytest.mark.parametrize("cores", [[0], [0, 1]])
def test_other_cores_taint(cores: list[int]) -> None:
    result = measure(Device([7e-3] * 6), thread_cores=cores)
    assert [len(one["tainted"]) for one in result["set_aside"]] == [1, 1]
    assert "instead of core 1" in result["tainted"][0]["text"]
