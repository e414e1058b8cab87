"""The progress of tuning by pool: sums up the latest reports of a pool's tune stages, and puts them into words.

Stages of one pool tune side by side and share search, builders and device: their trials add up, the shares of time that
the pool's parts are busy do not. Pure: time arrives in the calls.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep.analysis.formatting import as_duration, as_ms, as_percent, plural, significant

__all__ = [
    "LEAST_TOLD_S",
    "PARTS",
    "RATE_WINDOW_S",
    "PoolProgress",
    "Rate",
    "busy_words",
    "failure_words",
    "reached_words",
    "spent_words",
]

RATE_WINDOW_S = 30.0
_ESTIMATES_SHOWN = 3
LEAST_TOLD_S = 0.05
"""Less would be shown as `0.0 s left`: what is due any moment, or later than was thought."""
PARTS = ("search", "build", "device")
"""Of a pool, in the order of the work."""


@dataclass(slots=True)
class Rate:
    """The rate of trials a second, over the last half minute."""

    started_t: float
    _gains: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, now: float, gained: int) -> None:
        """So many more trials."""
        if gained > 0:
            self._gains.append((now, gained))

    def at(self, now: float) -> float:
        """0 where nothing came."""
        while self._gains and self._gains[0][0] < now - RATE_WINDOW_S:
            self._gains.popleft()
        span = min(RATE_WINDOW_S, now - self.started_t)
        return sum(gained for _, gained in self._gains) / span if span > 0 else 0.0


@dataclass(slots=True)
class PoolProgress:
    """A pool while at least one of its tune stages runs; those that have ended still count."""

    name: str
    """`xgb on local-1 for native`."""
    started_t: float
    running: set[str] = field(default_factory=set)
    """Labels."""
    said: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By label, what each stage last said."""
    busy: Mapping[str, float] = field(default_factory=dict)
    """Shares of 1 of the last seconds: search, build, device."""
    ends_t: float | None = None
    """When its hours are over; None where it has none."""
    rate: Rate = field(init=False)

    def __post_init__(self) -> None:
        self.rate = Rate(self.started_t)

    def take(self, label: str, info: Mapping[str, Any], now: float) -> int:
        """A tune stage speaks; returns the trials gained."""
        gained = max(0, int(info.get("trials") or 0) - int(self.said.get(label, {}).get("trials") or 0))
        self.said[label] = dict(info)
        self.busy = dict(info.get("busy") or self.busy)
        left_s = info.get("seconds_left")
        self.ends_t = None if left_s is None else now + float(left_s)
        self.rate.add(now, gained)
        return gained

    def sum(self, key: str) -> int:
        """Of a count, over the stages."""
        return sum(int(info.get(key) or 0) for info in self.said.values())

    def is_short_of_time(self, now: float) -> bool:
        """Whether its hours will be over before its trials, at the rate of now."""
        if self.ends_t is None:
            return False
        return self.sum("trials_total") - self.sum("trials") > self.rate.at(now) * max(0.0, self.ends_t - now)

    @property
    def failed(self) -> Counter[str]:
        """Failed trials by class."""
        total: Counter[str] = Counter()
        for info in self.said.values():
            total.update(info.get("failed") or {})
        return total

    @property
    def estimates_s(self) -> list[float]:
        """Best estimates of the models that have one."""
        return [float(info["best_estimate_s"]) for info in self.said.values() if info.get("best_estimate_s")]


def spent_words(pool: PoolProgress, now: float) -> str:
    """`xgb on local-1 for native, 2 models: 32/64 trials, 2.1 trials/s`; with `, 20 min left` if time ends it."""
    models = max(len(pool.running), len(pool.said))
    name = pool.name if models < 2 else f"{pool.name}, {plural(models, 'model')}"
    is_timed, rate = pool.is_short_of_time(now), pool.rate.at(now)
    total = 0 if is_timed else pool.sum("trials_total")
    spent = pool.sum("trials")
    told = (
        [f"{spent:,}/{plural(total, 'trial')}" if total else plural(spent, "trial")] if pool.said else ["no trial yet"]
    )
    told += [f"{significant(rate, 2)} trials/s"] if rate else []
    left_s = pool.ends_t - now if is_timed and pool.ends_t is not None else 0.0
    told += [f"{as_duration(left_s)} left"] if left_s >= LEAST_TOLD_S else []
    return f"{name}: {', '.join(told)}"


def reached_words(pool: PoolProgress) -> str:
    """`best 3.00 ms, 28/30 tasks covered`; empty before a tuner has spoken."""
    estimates, told = pool.estimates_s, []
    if estimates and len(pool.said) <= _ESTIMATES_SHOWN:
        told.append(f"best {' and '.join(as_ms(one * 1e3) for one in estimates)} ms")
    elif estimates:
        told.append(f"{len(estimates)} of {len(pool.said)} models have an estimate")
    if tasks := pool.sum("tasks"):
        told.append(f"{pool.sum('tasks_covered')}/{tasks} tasks covered")
    return ", ".join(told)


def failure_words(failed: Mapping[str, int], trials: int) -> str:
    """`6 % failed (BuildFailed 3, MeasureTimeout 1)`; empty where none did."""
    count = sum(failed.values())
    if not count:
        return ""
    classes = ", ".join(f"{name} {times:,}" for name, times in sorted(failed.items(), key=lambda item: -item[1]))
    return f"{as_percent(count / max(count, trials))} failed ({classes})"


def busy_words(busy: Mapping[str, float]) -> str:
    """`search 76 % build 58 % device 45 %`."""
    order = [*PARTS, *sorted(set(busy) - set(PARTS))]
    return " ".join(f"{part} {as_percent(round(busy[part], 2))}" for part in order if part in busy)
