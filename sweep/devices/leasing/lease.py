"""A lease of boards or cores: taken when they are free, renewed while its holder lives, refused once it has run out.

A holder that was stopped for longer than a lease lasts finds out before its result is used: `release` says so.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sweep.devices.leasing.board_health import LEASE_S, BoardHealth, Holder, failed, held_by, renewed, well
from sweep.devices.leasing.register import Register, is_held, now_s
from sweep.devices.processes import identify
from sweep.errors import DeviceLost

__all__ = ["Lease", "myself", "take"]

RENEW_S = LEASE_S / 4
POLL_S = 0.005
"""How often a waiter looks: more would be felt after each candidate of a few milliseconds."""


def myself(sweep: Path | None = None) -> Holder:
    """This process, as a holder."""
    process = identify(os.getpid())
    assert process is not None
    return Holder(process, None if sweep is None else str(sweep))


class Lease:
    """The boards or cores that this process holds, by the token of each in their register."""

    def __init__(self, register: Register, tokens: dict[str, int]) -> None:
        self._register, self.tokens = register, tokens
        self._is_over = threading.Event()
        self._timer = self._start_timer()

    def is_mine(self) -> bool:
        """Whether it has not run out."""
        entries, at_s = self._register.read(), now_s()
        return all(self._owns(entries.get(name), at_s) for name in self.tokens)

    def release(self) -> None:
        """Give back what went well. Raises DeviceLost when it was lost before: the result must not be used."""
        self._end(lambda entry: well(entry, time.time()))

    def give_up(self, reason: str | None) -> None:
        """Give back without a result, with why where it is the board's own failure. A lost lease is no news then."""
        with suppress(DeviceLost):
            self._end(lambda entry: entry if reason is None else failed(entry, reason, now_s()))

    def _end(self, judged: Callable[[BoardHealth], BoardHealth]) -> None:
        self._is_over.set()
        self._timer.cancel()
        with self._register.changing() as entries:
            at_s = now_s()
            lost = [name for name in self.tokens if not self._owns(entries.get(name), at_s)]
            for name, token in self.tokens.items():
                entry = entries.get(name)
                if entry is not None and entry.token == token:
                    entries[name] = replace(judged(entry) if name not in lost else entry, holder=None)
        if lost:
            names = ", ".join(lost)
            raise DeviceLost(f"the lease of {names} ran out: its holder gave no sign of life for {LEASE_S:g} s")

    def _renew(self) -> None:
        """A lease that ran out stays lost: somebody may have used the board in between."""
        with suppress(DeviceLost), self._register.changing() as entries:
            at_s = now_s()
            if self._is_over.is_set() or not all(self._owns(entries.get(name), at_s) for name in self.tokens):
                return
            entries.update({name: renewed(entries[name], at_s) for name in self.tokens})
        self._timer = self._start_timer()

    def _start_timer(self) -> threading.Timer:
        timer = threading.Timer(RENEW_S, self._renew)
        timer.daemon = True
        timer.start()
        return timer

    def _owns(self, entry: BoardHealth | None, at_s: float) -> bool:
        return entry is not None and entry.token == self.tokens[entry.name] and entry.is_leased(at_s)


def take(register: Register, names: Sequence[str], holder: Holder, timeout_s: float) -> Lease:
    """A lease of all of `names`, taken in their order, so that two who want some of them do not wait in a circle.

    Raises DeviceLost when they are not free within `timeout_s`; what was taken by then is given back.
    """
    deadline = time.monotonic() + timeout_s
    taken: dict[str, int] = {}
    while True:
        busy = _take_free(register, names, holder, taken)
        if busy is None:
            return Lease(register, taken)
        if time.monotonic() >= deadline:
            Lease(register, taken).give_up(None)
            who = "somebody" if busy.holder is None else f"process {busy.holder.process.pid}"
            raise DeviceLost(f"{busy.name} was not free within {timeout_s:g} s: {who} holds it")
        time.sleep(POLL_S)


def _take_free(register: Register, names: Sequence[str], holder: Holder, taken: dict[str, int]) -> BoardHealth | None:
    """Take those that are free, up to the first that is not: that one is returned."""
    with register.changing() as entries:
        at_s = now_s()
        for name in names:
            entry = entries.get(name, BoardHealth(name))
            if name in taken and entry.token == taken[name]:
                entries[name] = renewed(entry, at_s)
            elif is_held(entry, at_s):
                return entry
            else:
                entries[name] = held_by(entry, holder, at_s, time.time())
                taken[name] = entries[name].token
    return None
