"""Slots: a stage holds a unit of each slot that it needs while it runs.

A need names a slot and, where several stages work as one, their party: all stages of a party hold one unit together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

__all__ = ["Need", "Slots"]


class Need(NamedTuple):
    """One slot that a stage needs."""

    slot: str
    party: str = ""
    """Empty for a stage that holds a unit of its own."""


class Slots:
    """Counts the units that are held. A slot that `capacity` does not name has one unit."""

    def __init__(self, capacity: Mapping[str, int]) -> None:
        self._capacity = capacity
        self._held: Counter[str] = Counter()
        self._parties: Counter[Need] = Counter()
        """Stages of each party that run."""

    def has_room(self, needs: Iterable[Need]) -> bool:
        """Whether a stage with these needs may start."""
        return all(self.is_held_by(need) or self._held[need.slot] < self._capacity.get(need.slot, 1) for need in needs)

    def hold(self, needs: Iterable[Need]) -> None:
        """A stage with these needs starts."""
        for need in needs:
            self._held[need.slot] += not self.is_held_by(need)
            self._parties[need] += 1

    def release(self, needs: Iterable[Need]) -> None:
        """A stage with these needs has ended."""
        for need in needs:
            self._parties[need] -= 1
            self._held[need.slot] -= not self.is_held_by(need)

    def free(self, slot: str) -> int:
        """Units of a slot that nobody holds."""
        return self._capacity.get(slot, 1) - self._held[slot]

    def is_held_by(self, need: Need) -> bool:
        """Whether the party of a need holds its unit already."""
        return bool(need.party) and self._parties[need] > 0
