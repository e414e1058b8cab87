"""Gives a measurer one leased board at a time of those that share a tracker key, healthy boards first.

The tracker chooses which server it hands out. A board that must rest is not connected to and offers itself again after
8 s; its siblings are requested meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.formatting import plural
from sweep.devices.leasing.board_affinity import BoardAffinity
from sweep.devices.leasing.board_health import BoardHealth, failed
from sweep.devices.leasing.lease import Lease, myself, take
from sweep.devices.leasing.register import Register, is_held, now_s
from sweep.devices.rpc.remote import Connection, Remote, load_client
from sweep.errors import DeviceLost, SweepError

if TYPE_CHECKING:
    from sweep.devices.rpc.tracker_client import Board, TrackerClient
    from sweep.study.cluster.cluster import Device

__all__ = ["Boards"]

RESTART_S = 6.0
"""How long a key of our own farm may be missing: a server that died is back in about a second, in twice that on a
loaded machine."""
REBOOT_S = 30.0
"""How long the key of a board elsewhere may be missing. Each wait happens once a session: after a wait in vain the next
attempt asks the tracker once and fails."""
TRIAL_WAIT_S = 5.0
"""For boards that all have failed to be offered again: a server that lives offers itself within moments."""

MOST_SESSIONS = 28
"""In this process at once, whatever the devices. TVM's client has room for 32: the next one is refused as if its board
had. A few are left for those that failed and that a traceback still holds."""
_ROOM = threading.BoundedSemaphore(MOST_SESSIONS)


@dataclass(slots=True)
class Boards:
    """All boards with the key of `device`. For any number of threads."""

    device: Device
    tracker: TrackerClient
    register: Register
    sweep: Path | None
    """The sweep directory that holders are named by."""
    free_timeout_s: float
    """How long other holders may keep us waiting."""
    _was_absent: bool = field(default=False, init=False)
    _usual: BoardAffinity = field(init=False)

    def __post_init__(self) -> None:
        self._usual = BoardAffinity(self.tracker, self.device.key)

    @contextmanager
    def session(self, timeout_s: float) -> Iterator[Remote]:
        """A session with one board, which both sides end after `timeout_s`; the board is leased as long.

        A board that does not take the session rests, and another one is asked. Raises DeviceLost (no tracker, no such
        key, none free, all set aside, connection broken, or the lease ran out within the block: what was measured must
        not be used), MeasureTimeout, MeasureFailed.
        """
        with _ROOM:
            connection, lease = self._connect(timeout_s)
            try:
                with connection.serving() as remote:
                    yield remote
                    lease.release()
            except DeviceLost as error:
                lease.give_up(str(error))
                self._usual.forget_mine()
                raise
            except SweepError:
                lease.release()  # the board has done its part; but nobody is to be blamed by one who lost it
                raise
            except BaseException:
                lease.give_up(None)
                raise

    def let_rest(self) -> None:
        """Where a board rests, wait for one that may be used: before the cores are taken, which others want meanwhile.

        Raises DeviceLost, as `session` does.
        """
        at_s = now_s()
        if any(entry.rests(at_s) for entry in self.register.read().values()):
            self._wait_for_ready(time.monotonic() + self.free_timeout_s)

    def _connect(self, timeout_s: float) -> tuple[Connection, Lease]:
        load_client()
        deadline = time.monotonic() + self.free_timeout_s
        while True:
            board = self._next(deadline)
            lease = take(self.register, [board.address], myself(self.sweep), max(0.0, deadline - time.monotonic()))
            try:
                return Connection(board, self.device, timeout_s), lease
            except DeviceLost as error:
                lease.give_up(str(error))
                self._usual.forget_mine()
                if not self._has_others(board.address, deadline):
                    raise
            except BaseException:
                lease.give_up(None)
                raise

    def _next(self, deadline: float) -> Board:
        """The next board that may be used."""
        while True:
            ready = self._wait_for_ready(deadline)
            are_tried = all(entry.failures for entry in ready)
            left_s = deadline - time.monotonic()
            board = self.tracker.request(self.device.key, min(left_s, TRIAL_WAIT_S) if are_tried else left_s)
            if board is None:
                if are_tried:
                    self._did_not_come(ready)
                raise DeviceLost(self._why_none(ready))
            chosen = self._swapped(board) if self._may_use(board) else None
            if chosen is not None:
                return chosen
            if time.monotonic() >= deadline:
                raise DeviceLost(self._why_none(ready))

    def _swapped(self, board: Board) -> Board | None:
        """This thread's usual board instead. Those of our own farm are one and the same host: any of them will do."""
        if self.device.managed or self.device.count == 1:
            return board
        usual = self._usual.swapped(board)
        return usual if usual is not None and self._may_use(usual) else None

    def _may_use(self, board: Board) -> bool:
        entry = self.register.read().get(board.address)
        return entry is None or not entry.rests(now_s())

    def _wait_for_ready(self, deadline: float) -> list[BoardHealth]:
        """Boards at the tracker that do not rest; where all do, after the first rest.

        A board may take half a minute to start again. So the first time that all are set aside is waited for; later
        ones are longer than `free_timeout_s`. Raises DeviceLost.
        """
        while True:
            known, at_s = self._known(deadline), now_s()
            ready = [entry for entry in known if not entry.rests(at_s)]
            if ready:
                return ready
            rest_s = min(entry.rests_until_s for entry in known) - at_s
            if time.monotonic() + rest_s > deadline:
                raise DeviceLost(_why_all_rest(self.device.key, known, at_s))
            time.sleep(max(0.0, rest_s))

    def _known(self, deadline: float) -> list[BoardHealth]:
        """What is known of each board that is at the tracker."""
        try:
            patience_s = RESTART_S if self.device.managed else REBOOT_S
            left_s = 0.0 if self._was_absent else min(patience_s, deadline - time.monotonic())
            there = self.tracker.wait_for(self.device.key, left_s)
        except DeviceLost:
            self._was_absent = True
            raise
        self._was_absent = False
        entries = self.register.read()
        return [entries.get(address, BoardHealth(address)) for address in there.boards]

    def _has_others(self, address: str, deadline: float) -> bool:
        at_s = now_s()
        return any(entry.name != address and not entry.rests(at_s) for entry in self._known(deadline))

    def _did_not_come(self, boards: Sequence[BoardHealth]) -> None:
        with self.register.changing() as entries:
            at_s = now_s()
            for board in boards:
                entry = entries.get(board.name, board)
                if not is_held(entry, at_s):
                    entries[board.name] = failed(entry, entry.reason or "it did not come free", at_s)

    def _why_none(self, boards: Sequence[BoardHealth]) -> str:
        at_s, entries = now_s(), self.register.read()
        held = [entry for board in boards if (entry := entries.get(board.name)) is not None and is_held(entry, at_s)]
        text = f"no device with key {self.device.key!r} became free within {self.free_timeout_s:g} s"
        for entry in held:
            assert entry.holder is not None
            text += f"; {entry.name} is leased by process {entry.holder.process.pid}"
        for entry in boards:
            text += f"; {entry.name} had failed before: {entry.reason}" if entry.reason else ""
        return text


def _why_all_rest(key: str, boards: Sequence[BoardHealth], at_s: float) -> str:
    soonest_s = min(entry.rests_until_s for entry in boards) - at_s
    reasons = "; ".join(
        f"{entry.name} failed {plural(entry.failures, 'time')}, lastly: {entry.reason}" for entry in boards
    )
    which = "the board" if len(boards) == 1 else f"all {len(boards)} boards"
    return f"{which} of {key!r} set aside, tried again in {max(0.0, soonest_s):.0f} s: {reasons}"
