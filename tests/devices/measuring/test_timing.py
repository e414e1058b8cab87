"""Warm-up, calibration and repeats on a clock that costs no time."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.statistics import relative_interval
from sweep.devices.measuring.timing import FEWEST_REPEATS, MAX_NUMBER, Sampling, StoppedBy, sample


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


class NoisyClock(FakeClock):
    """As that, but with a spread: each value is `call_s` times up to 1 + `spread`."""

    def __init__(self, call_s: float, spread: float, seed: int = 0) -> None:
        super().__init__(call_s)
        self.spread, self.draw = spread, random.Random(seed)

    def __call__(self, number: int, repeat: int) -> list[float]:
        return [value * (1 + self.spread * self.draw.random()) for value in super().__call__(number, repeat)]


def sampling(**changed: float | None) -> Sampling:
    options = {"repeat": 10, "min_repeat_ms": 100, "warmup": 1, "number": None, "timeout_s": 600.0}
    return Sampling.of(options | changed)


def stopping(**changed: float | None) -> Sampling:
    return sampling(**{"max_repeat": 50, "relative_interval": 0.02, "time_limit_s": 30.0} | changed)


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


def test_an_interruption_does_not_deceive() -> None:
    """20 ms that something else had the core must not look like the time of a call."""
    clock, interrupted = FakeClock(1e-5), iter([False, True, False, True])

    def disturbed(number: int, repeat: int) -> list[float]:
        values = clock(number, repeat)
        if number > 1 and next(interrupted, False):
            values[0] += 0.02 / number
        return values

    assert sample(disturbed, sampling()).number == pytest.approx(10_500, rel=0.01)


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


@pytest.mark.parametrize(
    ("clock", "asked", "repeats", "stopped_by"),
    [
        (NoisyClock(0.2, spread=0.0), {}, 10, StoppedBy.INTERVAL),
        (NoisyClock(0.2, spread=1.0), {}, 50, StoppedBy.REPEATS),
        (NoisyClock(0.2, spread=1.0), {"max_repeat": 10}, 10, StoppedBy.REPEATS),
        (NoisyClock(0.2, spread=1.0), {"max_repeat": 12}, 12, StoppedBy.REPEATS),
        (NoisyClock(0.2, spread=0.0), {"repeat": 1, "max_repeat": 1}, 1, StoppedBy.REPEATS),
        (NoisyClock(0.2, spread=0.0), {"repeat": 1}, 6, StoppedBy.INTERVAL),
        (NoisyClock(1.0, spread=0.0), {"time_limit_s": 7.5}, 7, StoppedBy.TIME),
        (NoisyClock(1.0, spread=0.9), {}, 20, StoppedBy.TIME),
        (NoisyClock(20.0, spread=0.0), {}, 3, StoppedBy.TIME),
        (NoisyClock(20.0, spread=0.0), {"warmup": 0, "number": 1}, 3, StoppedBy.TIME),
        (NoisyClock(20.0, spread=0.0), {"repeat": 2}, 2, StoppedBy.INTERVAL),
        (NoisyClock(20.0, spread=0.5), {"repeat": 2, "relative_interval": 1e-9}, 2, StoppedBy.TIME),
    ],
)
def test_sampling_ends_for_the_reason_it_gives(
    clock: FakeClock, asked: dict[str, float | None], repeats: int, stopped_by: StoppedBy
) -> None:
    timing = sample(clock, stopping(**asked))
    assert timing.stopped_by == stopped_by
    assert len(timing.run_secs) == repeats


@given(
    call_s=st.floats(1e-6, 60.0),
    spread=st.floats(0.0, 2.0),
    repeat=st.integers(1, 30),
    more=st.integers(0, 60),
    bound=st.floats(0.001, 0.5),
    limit_s=st.floats(0.1, 100.0),
)
def test_the_reason_is_true_and_the_limits_hold(
    call_s: float, spread: float, repeat: int, more: int, bound: float, limit_s: float
) -> None:
    asked = stopping(repeat=repeat, max_repeat=repeat + more, relative_interval=bound, time_limit_s=limit_s)
    timing = sample(NoisyClock(call_s, spread), asked)
    count, spent_s = len(timing.run_secs), timing.number * sum(timing.run_secs)
    assert min(FEWEST_REPEATS, repeat) <= count <= repeat + more
    if timing.stopped_by is StoppedBy.INTERVAL:
        width = relative_interval(timing.run_secs)
        assert count >= repeat
        assert width is not None
        assert width < bound
    elif timing.stopped_by is StoppedBy.REPEATS:
        assert count == repeat + more
    else:
        assert spent_s + spent_s / count > limit_s
    # A batch is cut to what the time allows as far as the values before it tell
    assert count <= FEWEST_REPEATS or spent_s <= limit_s * (1 + spread)


def test_looks_at_the_interval_are_few() -> None:
    clock = NoisyClock(0.2, spread=1.0)
    sample(clock, stopping(relative_interval=1e-9, max_repeat=200, time_limit_s=1e9))
    taken = list(itertools.accumulate(repeat for _, repeat in clock.asked[1:]))
    assert taken[:6] == [10, 15, 20, 25, 31, 38]
    assert taken[-1] == 200
    assert len(taken) < 20


def test_a_slow_first_call_does_not_cost_the_repeats() -> None:
    """What the warm-up foretold is corrected by the first values."""
    clock = FakeClock(0.2)
    first = iter([[20.0]])
    timing = sample(lambda number, repeat: next(first, None) or clock(number, repeat), stopping())
    assert timing.stopped_by is StoppedBy.INTERVAL
    assert len(timing.run_secs) == 10


def test_flushed_caches_make_a_repeat_a_single_call() -> None:
    clock = FakeClock(1e-3)
    assert sample(clock, sampling(cache_flush=True)).number == 1
    assert clock.asked == [(1, 1), (1, 10)]


def test_options_without_a_stop_rule_give_a_fixed_number() -> None:
    timing = sample(NoisyClock(20.0, spread=0.5), sampling())
    assert len(timing.run_secs) == 10
    assert timing.stopped_by is StoppedBy.REPEATS
