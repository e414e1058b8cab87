"""The record of one board or core that one holder at a time may use: its lease and its history of failures.

Pure values: no clock, no file, no process. Times are of the clock that counts from this machine's boot, sleep
included, so that no lease gets longer when the date is set; `since` and `last_seen` are for people, in seconds since
1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sweep.devices.processes import ProcessId

__all__ = ["LEASE_S", "BoardHealth", "Holder", "as_json", "entry_from", "failed", "held_by", "renewed", "well"]

LEASE_S = 10.0
"""A lease ends so long after its holder last said that it lives. Holders say so four times in that time."""
SET_ASIDE_AFTER = 3
"""Failures in a row. Up to then a board rests for a moment: a server that died is back within a second or two."""
FIRST_REST_S = 0.5
ASIDE_S = 30.0
LONGEST_ASIDE_S = 600.0
MOST_DOUBLINGS = 10
"""More than any rest needs; two to the power of a thousand, as often as a board fails in a week, is an error."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lease, and its sweep directory."""

    process: ProcessId
    sweep: str | None
    """Its sweep directory."""


@dataclass(frozen=True, slots=True)
class BoardHealth:
    """The lease and the failures in a row of one board or core."""

    name: str
    """host:port of a board's server, or `core 3`."""
    token: int = 0
    """Of the latest lease: each one's is greater than all before, so a late holder is told from the present one."""
    holder: Holder | None = None
    since: float = 0.0
    until_s: float = 0.0
    failures: int = 0
    """In a row."""
    rests_until_s: float = 0.0
    reason: str | None = None
    """What the latest failure said."""
    last_seen: float | None = None
    """When it last did what it was asked."""

    @property
    def is_set_aside(self) -> bool:
        """Whether it failed so often that work goes elsewhere; one try at a time will show when it is well again."""
        return self.failures >= SET_ASIDE_AFTER

    def rests(self, now_s: float) -> bool:
        """Whether it is not to be used yet."""
        return now_s < self.rests_until_s

    def is_leased(self, now_s: float) -> bool:
        """Whether there is a lease that has not run out; its holder may be dead all the same."""
        return self.holder is not None and now_s <= self.until_s


def held_by(entry: BoardHealth, holder: Holder, now_s: float, since: float) -> BoardHealth:
    """With a new lease. Tokens grow also where the register was lost meanwhile."""
    token = max(entry.token + 1, int(now_s * 1e6))
    return replace(entry, token=token, holder=holder, since=since, until_s=now_s + LEASE_S)


def renewed(entry: BoardHealth, now_s: float) -> BoardHealth:
    """With more time for the lease that it has."""
    return replace(entry, until_s=now_s + LEASE_S)


def well(entry: BoardHealth, seen: float) -> BoardHealth:
    """After it did what it was asked: failures before count no more."""
    return replace(entry, failures=0, rests_until_s=0.0, reason=None, last_seen=seen)


def failed(entry: BoardHealth, reason: str, now_s: float) -> BoardHealth:
    """After a failure of the board's own: it rests, each time twice as long, and is set aside for longer."""
    failures = entry.failures + 1
    beyond = min(failures - SET_ASIDE_AFTER, MOST_DOUBLINGS)
    rest_s = min(LONGEST_ASIDE_S, ASIDE_S * 2.0**beyond) if beyond >= 0 else FIRST_REST_S * 2.0 ** (failures - 1)
    return replace(entry, failures=failures, rests_until_s=now_s + rest_s, reason=reason)


def as_json(entry: BoardHealth) -> dict[str, Any]:
    """Plain values."""
    return asdict(entry)


def entry_from(stored: Mapping[str, Any]) -> BoardHealth:
    """What `as_json` gave. Raises TypeError, KeyError or ValueError for anything else."""
    fields = dict(stored)
    holder = fields.pop("holder")
    held = None if holder is None else Holder(ProcessId(**holder["process"]), holder["sweep"])
    return BoardHealth(**fields, holder=held)
