"""The right to write to a store: one run at a time, until it gives it back or shows no sign of life.

A store may have no lock and no conditional write, but what is written is there for the next who lists. So each writer
puts a claim, then lists them: of two, the later one sees both, and whoever sees another living claim withdraws. How old
a claim is is told by the store's clock, beside one's own. A holder that has lost its claim finds it missing, or old,
before it commits.
"""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from uuid import uuid4

from sweep.errors import LedgerError
from sweep.storage.store import Found, Store

__all__ = ["WriteClaim"]

_FOLDER = "writers"
EXPIRY_S = 120.0
"""Without a sign for so long, a claim is nobody's."""
RENEWAL_S = 20.0


class WriteClaim:
    """One run's right to write to a store; the run holds it from construction to `close`."""

    def __init__(self, store: Store, expiry_s: float = EXPIRY_S) -> None:
        """Raises LedgerError when another run has it, RecordError when the store cannot be reached."""
        self._store, self._expiry_s = store, expiry_s
        self._key = f"{_FOLDER}/{uuid4().hex}.json"
        self._claim = json.dumps(_whoami()).encode()
        self._renew()
        try:
            claims = self._others()
            for other, age_s in claims:
                if (holder := self._living(other, age_s)) is not None:
                    raise LedgerError(
                        f"{store.name} is in use by another `sweep run` ({holder}, last seen {max(0.0, age_s):.0f} s "
                        f"ago; it counts as gone after {expiry_s:.0f} s without a sign)"
                    )
            for other, _ in claims:
                store.remove(other.key)
        except BaseException:
            store.remove(self._key)
            raise

    def hold(self) -> None:
        """Show a sign of life, if one is due; to be called before each commit, and now and then.

        Raises:
            LedgerError: another run has taken over.
            RecordError: the store cannot be reached.
        """
        late_s = time.monotonic() - self._renewed_s
        if late_s < min(RENEWAL_S, self._expiry_s / 4):
            return
        if not any(found.key == self._key for found in self._store.below(_FOLDER)):
            raise LedgerError(
                f"{self._store.name} was taken over by another `sweep run` after {late_s:.0f} s of silence"
            )
        self._renew()

    def close(self) -> None:
        """Give it back. Raises RecordError."""
        self._store.remove(self._key)

    def _renew(self) -> None:
        now_s = time.monotonic()
        self._store.put(self._key, self._claim)
        self._renewed_s = now_s

    def _others(self) -> list[tuple[Found, float]]:
        """Other claims, with how much older they are than one's own."""
        claims = self._store.below(_FOLDER)
        own_t = next((found.changed_t for found in claims if found.key == self._key), None)
        if own_t is None:
            raise LedgerError(f"{self._store.name} was taken over by another `sweep run` at this moment")
        return [(found, own_t - found.changed_t) for found in claims if found.key != self._key]

    def _living(self, other: Found, age_s: float) -> str | None:
        """Who it is; None for one that is gone."""
        data = self._store.get(other.key)
        if data is None or age_s > self._expiry_s:
            return None
        try:
            holder = json.loads(data)
            shown = f"process {holder['pid']} on {holder['host']}"
        except (ValueError, KeyError, TypeError):
            return "of unknown name"
        is_near = holder.get("space") == _space()
        return None if is_near and not Path(f"/proc/{holder['pid']}").exists() else shown


def _whoami() -> dict[str, object]:
    return {"pid": os.getpid(), "host": platform.node(), "space": _space()}


def _space() -> str:
    """Where a pid names one process: a boot of a machine, and a space of pids on it."""
    return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {Path('/proc/self/ns/pid').readlink()}"
