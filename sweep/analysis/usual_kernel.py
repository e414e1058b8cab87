"""What a device's sentinel kernel takes as a rule, learnt as a distribution from what it took before. Pure."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["FEWEST", "usual_s"]

FEWEST = 30
"""Of fewer times the distribution is not known."""
SLOW_SHARE = 0.2
"""A state that a device is in for a fifth of the time is one of its usual ones: a shared machine has several."""
MOST = 1.6
"""Times the fastest state: what is slower than that is others' work, however often."""


def usual_s(times_s: Sequence[float]) -> float | None:
    """What the kernel takes in the slowest of the device's usual states; None while that is not known."""
    if len(times_s) < FEWEST:
        return None
    ordered = sorted(times_s)
    fastest = ordered[len(ordered) // 20]
    return min(ordered[int((1 - SLOW_SHARE) * (len(ordered) - 1))], MOST * fastest)
