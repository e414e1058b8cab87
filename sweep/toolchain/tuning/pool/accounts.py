"""Books a pool's time: by workload, and how busy search, builders and device are."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Accounts", "Spent"]

_WINDOW_S = 20.0
_LEAST_COST_S = 1e-3


@dataclass(slots=True)
class Spent:
    """What one workload has cost, in seconds and trials."""

    trials: int = 0
    valid: int = 0
    warm: int = 0
    """Trials of schedules that another sweep had found."""
    search_s: float = 0.0
    build_s: float = 0.0
    measure_s: float = 0.0
    validate_s: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)


class Accounts:
    """Books what a pool spends. Used by the pool's loop alone."""

    def __init__(self) -> None:
        self.begin(build_slots=1)

    def begin(self, build_slots: int) -> None:
        """Open new books, for a pool that builds so many candidates at a time."""
        self.build_slots = max(1, build_slots)
        self._by_workload: dict[str, Spent] = {}
        self._recent: dict[str, deque[tuple[float, float]]] = {"search": deque(), "build": deque(), "device": deque()}
        self._begun: float | None = None
        self._worked: dict[str, float] = {}
        self.trials = 0

    def of(self, workload: str) -> Spent:
        """The page of a workload."""
        return self._by_workload.setdefault(workload, Spent())

    def forget(self, workload: str) -> None:
        """Begin a workload's page anew, once a member's result has what it has cost so far."""
        self._by_workload.pop(workload, None)

    @contextmanager
    def searching(self, workload: str) -> Iterator[None]:
        """Book the time of the block as search."""
        begun = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - begun
            self.of(workload).search_s += seconds
            self._note("search", seconds)

    def book_build(self, workload: str, seconds: float) -> None:
        """Book a build."""
        self.of(workload).build_s += seconds
        self._note("build", seconds)

    def book_measure(self, workload: str, seconds: float, *, validating: bool = False) -> None:
        """Book a measurement."""
        if validating:
            self.of(workload).validate_s += seconds
        else:
            self.of(workload).measure_s += seconds
        self._note("device", seconds)

    def book_trial(self, workload: str, error_class: str | None, origin: str) -> None:
        """Count a trial."""
        spent = self.of(workload)
        self.trials += 1
        spent.trials += 1
        spent.valid += error_class is None
        spent.warm += origin == "warm start"
        if error_class is not None:
            spent.failures[error_class] += 1

    def book_refusal(self, workload: str, error_class: str) -> None:
        """Count a failure that is no trial: a workload has no search."""
        self.of(workload).failures[error_class] += 1

    def cost_s(self, workload: str) -> float:
        """Seconds that one more trial holds up the pool: of the builders or the device, whichever is slower. The mean
        of all trials for a workload that has none; 1 before the first.
        """
        spent = self._by_workload.get(workload)
        if spent is not None and spent.trials:
            slower_s, trials = max(spent.build_s / self.build_slots, spent.measure_s), spent.trials
        else:
            slower_s = max(self._worked.get("build", 0.0) / self.build_slots, self._worked.get("device", 0.0))
            trials = self.trials
        return max(_LEAST_COST_S, slower_s / trials) if trials else 1.0

    def failures_of(self, workloads: Collection[str]) -> dict[str, int]:
        """Failures by class."""
        total: Counter[str] = Counter()
        for workload in workloads:
            total.update(self.of(workload).failures)
        return dict(total)

    def busy(self) -> Mapping[str, float]:
        """The share of the last seconds in which search, builders and device worked."""
        now = time.monotonic()
        span = min(_WINDOW_S, max(1.0, now - (self._begun or now)))
        shares = {}
        for part, events in self._recent.items():
            while events and events[0][0] < now - _WINDOW_S:
                events.popleft()
            worked = sum(seconds for _, seconds in events)
            shares[part] = round(min(1.0, worked / span / (self.build_slots if part == "build" else 1)), 3)
        return shares

    def utilisation(self) -> Mapping[str, float]:
        """The same over the life of the pool."""
        span = max(1e-9, time.monotonic() - (self._begun or time.monotonic()))
        slots = {"search": 1, "build": self.build_slots, "device": 1}
        return {part: round(min(1.0, self._worked.get(part, 0.0) / span / slots[part]), 3) for part in slots}

    def _note(self, part: str, seconds: float) -> None:
        now = time.monotonic()
        if self._begun is None:
            self._begun = now - seconds
        self._worked[part] = self._worked.get(part, 0.0) + seconds
        self._recent[part].append((now, seconds))
