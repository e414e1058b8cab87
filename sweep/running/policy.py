"""Decides whether a failed attempt is tried again: a table, and a decision that is a value.

Only failures that may come out differently are retried. A model that does not parse, code that computes a wrong answer
or a candidate space that is empty will be the same next time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sweep.errors import was_lost

__all__ = ["GiveUp", "Retry", "RetryPolicy"]


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again, not before `delay_s` from now."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The failure is final."""


_ATTEMPTS = {
    "DeviceLost": 4,  # the board may reboot, the farm restarts a dead server within seconds
    "MeasureTimeout": 2,  # a busy board gets one more chance
    "ArtifactDamaged": 1,  # a run makes them again when it begins
    "DiskFull": 1,  # nobody makes room in seconds; the next run tries again
    "EngineError": 3,  # a worker died: another takes over
    "CompilerLost": 3,  # as it waited there, it is not to blame
    "WorkerKilled": 3,  # by somebody, or for want of memory: then others may have let go of theirs
    "EngineDown": math.inf,  # the engine counts how often it is brought up again
}
_NOBODYS = frozenset({"EngineDown"})
"""Failures that say so little of a stage that they are none of the attempts which it has."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Decides by error class and by how often a stage has failed with it in this run.

    `attempts` maps an error class to the most attempts in one run, and what it names is tried again by the next run; a
    class that is not named gets one attempt for good.
    Delays double from `first_delay_s` up to `longest_delay_s`.
    """

    attempts: Mapping[str, float] = field(default_factory=lambda: dict(_ATTEMPTS))
    first_delay_s: float = 1.0
    longest_delay_s: float = 30.0

    def decide(self, error_class: str, failures: int) -> Retry | GiveUp:
        """What follows the `failures`-th failure of this class of a stage in this run (counted from 1)."""
        if error_class in _NOBODYS:
            return Retry(self.first_delay_s)
        if failures >= self.attempts.get(error_class, 1):
            return GiveUp()
        return Retry(min(self.longest_delay_s, self.first_delay_s * 2.0 ** (failures - 1)))

    def is_transient(self, error_class: str, error: str = "") -> bool:
        """Whether a later run of the same sweep should try a stage that ended in this class. `error`: what it said,
        by which the losses of earlier versions are known.
        """
        return error_class in self.attempts or was_lost(error_class, error)
