"""The status of a farm at one moment: its boards by tracker key, and the state of each board. Values alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.devices.leasing.board_health import BoardHealth
from sweep.devices.rpc.tracker_client import KeyState

__all__ = ["BoardStatus", "FarmAddress", "FarmStatus", "KeyStatus", "key_status", "together"]


@dataclass(frozen=True, slots=True)
class FarmAddress:
    """Host and port of a farm's tracker."""

    tracker_host: str
    tracker_port: int


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """The state of one board that this host has worked with, or that is at the tracker."""

    board: str
    """host:port"""
    state: str
    """`at the tracker`, `leased`, `set aside` (it failed too often), or `away` (not at the tracker)."""
    holder_pid: int | None = None
    sweep: str | None = None
    """On behalf of which sweep directory it is leased."""
    since: float | None = None
    """Of the lease; seconds since 1970."""
    failures: int = 0
    """In a row."""
    reason: str | None = None
    """What the latest failure said."""
    again_in_s: float | None = None
    """When one that was set aside is tried again."""
    last_seen: float | None = None
    """When it last did what it was asked; seconds since 1970."""


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """The boards of one tracker key."""

    total: int
    """Boards that should be there by the cluster file, or that are at the tracker if these are more."""
    free: int
    leased: int
    """In a session, of this host's or of another's."""
    broken: int
    """Not at the tracker, or set aside."""
    restarts: int = 0
    pids: tuple[int, ...] = ()
    ports: tuple[int, ...] = ()
    boards: tuple[BoardStatus, ...] = ()
    is_there: bool = False
    """Whether any board is at the tracker."""

    @property
    def last_seen(self) -> float | None:
        """When a board of it last did what it was asked."""
        return max((board.last_seen for board in self.boards if board.last_seen is not None), default=None)


@dataclass(frozen=True, slots=True)
class FarmStatus:
    """The status of a farm: its tracker, and the boards of each key."""

    address: FarmAddress | None
    """None when the farm is down."""
    problem: str | None
    """Why there is no tracker to ask, in one line."""
    keys: dict[str, KeyStatus]


def key_status(
    expected: int,
    processes: Sequence[Mapping[str, Any]],
    there: KeyState | None,
    entries: Mapping[str, BoardHealth],
    *,
    now_s: float,
    is_held: Callable[[BoardHealth, float], bool],
) -> KeyStatus:
    """One key. expected: how many boards there should be. processes: of the servers that this farm runs."""
    present = there.boards if there is not None else ()
    boards = [
        _board(entries.get(name, BoardHealth(name)), name in present, now_s, is_held)
        for name in sorted({*present, *entries})
    ]
    states = [board.state for board in boards]
    set_aside, leased = states.count("set aside"), states.count("leased")
    usable = len(present) - set_aside - sum(board.state == "leased" and board.board in present for board in boards)
    free = min(usable, there.free) if there is not None else 0
    total = max(expected, len(present))
    return KeyStatus(
        total=total,
        free=free,
        leased=leased + usable - free,
        broken=total - len(present) + set_aside,
        restarts=sum(process["restarts"] for process in processes),
        pids=tuple(process["process"]["pid"] for process in processes if process["process"] is not None),
        ports=tuple(process["port"] for process in processes) or (there.ports if there is not None else ()),
        boards=tuple(boards),
        is_there=bool(present),
    )


def together(statuses: Sequence[FarmStatus]) -> FarmStatus:
    """Several farms of one cluster file as one; the first address and the first problem stand for all."""
    keys: dict[str, KeyStatus] = {}
    for status in statuses:
        for key, found in status.keys.items():
            keys[key] = _sum(keys[key], found) if key in keys else found
    address = next((status.address for status in statuses if status.address is not None), None)
    problems = [status.problem for status in statuses if status.problem is not None]
    return FarmStatus(address, problems[0] if problems and address is None else None, dict(sorted(keys.items())))


def _sum(one: KeyStatus, other: KeyStatus) -> KeyStatus:
    return KeyStatus(
        total=one.total + other.total,
        free=one.free + other.free,
        leased=one.leased + other.leased,
        broken=one.broken + other.broken,
        restarts=one.restarts + other.restarts,
        pids=one.pids + other.pids,
        ports=one.ports + other.ports,
        boards=one.boards + other.boards,
        is_there=one.is_there or other.is_there,
    )


def _board(
    entry: BoardHealth, is_present: bool, now_s: float, is_held: Callable[[BoardHealth, float], bool]
) -> BoardStatus:
    leased = entry if is_held(entry, now_s) else None
    if leased is not None:
        state = "leased"
    elif not is_present:
        state = "away"
    else:
        state = "set aside" if entry.is_set_aside else "at the tracker"
    holder = leased.holder if leased is not None else None
    return BoardStatus(
        board=entry.name,
        state=state,
        holder_pid=None if holder is None else holder.process.pid,
        sweep=None if holder is None else holder.sweep,
        since=None if leased is None else leased.since,
        failures=entry.failures,
        reason=entry.reason,
        again_in_s=max(0.0, entry.rests_until_s - now_s) if state == "set aside" else None,
        last_seen=entry.last_seen,
    )
