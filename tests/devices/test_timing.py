"""Warm-up, calibration and repeats on a clock that costs no time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.devices.timing import MAX_NUMBER, Sampling, sample


class FakeClock:
    """Runs something that takes `call_s`, with a fixed overhead per sample."""

    def __init__(self, call_s: float, overhead_s: float = 0.0) -> None:
        self.call_s, self.overhead_s = call_s, overhead_s
        self.asked: list[tuple[int, int]] = []
        self.spent_s = 0.0

    def __call__(self, number: int, repeat: int) -> list[float]:
        self.asked.append((number, repeat))
        self.spent_s += repeat * (number * self.call_s + self.overhead_s)
        return [self.call_s + self.overhead_s / number] * repeat


def sampling(**changed: float | None) -> Sampling:
    options = {"repeat": 10, "min_repeat_ms": 100, "warmup": 1, "number": None, "timeout_s": 600.0}
    return Sampling.of(options | changed)


@given(call_s=st.floats(1e-7, 2.0), min_repeat_ms=st.floats(0.0, 300.0), warmup=st.integers(0, 3))
def test_each_repeat_is_long_enough_and_not_much_longer(call_s: float, min_repeat_ms: float, warmup: int) -> None:
    timing = sample(FakeClock(call_s), sampling(min_repeat_ms=min_repeat_ms, warmup=warmup))
    assert timing.number * call_s >= min_repeat_ms / 1000
    assert timing.number == 1 or (timing.number - 1) * call_s <= 1.06 * min_repeat_ms / 1000
    assert len(timing.run_secs) == 10
    assert len(timing.warmup_secs) == warmup


@given(call_s=st.floats(1e-6, 1e-3))
def test_calibration_costs_less_than_two_repeats(call_s: float) -> None:
    clock = FakeClock(call_s, overhead_s=1e-4)
    sample(clock, sampling())
    assert clock.spent_s < 12.5 * 0.1


def test_overhead_of_a_sample_does_not_deceive() -> None:
    """A first call that looks long, for the round trip around it, must not end in too few calls."""
    timing = sample(FakeClock(1e-6, overhead_s=5e-4), sampling())
    assert timing.number * 1e-6 >= 0.09


def test_long_calls_are_not_calibrated_apart() -> None:
    clock = FakeClock(0.2)
    timing = sample(clock, sampling())
    assert timing.number == 1
    assert clock.asked == [(1, 1), (1, 10)]


@pytest.mark.parametrize(("number", "warmup", "asked"), [(7, 0, [(7, 10)]), (7, 2, [(1, 2), (7, 10)])])
def test_given_number_is_taken(number: int, warmup: int, asked: list[tuple[int, int]]) -> None:
    clock = FakeClock(1e-3)
    assert sample(clock, sampling(number=number, warmup=warmup)).number == number
    assert clock.asked == asked


def test_a_clock_too_coarse_to_see_a_call_ends() -> None:
    assert sample(FakeClock(0.0), sampling()).number == MAX_NUMBER
