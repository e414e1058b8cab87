"""The borrower's side of a lent core: a compile worker takes it, is watched there, moved to another, and ends.

`sweep.core_sharing` has the agreement with those who measure on the core. A worker's time limit does not count the
time in which it was frozen.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from sweep.core_sharing import enter, entry_of, freeze, is_frozen, members, nobody_measures, thaw

__all__ = ["BorrowedCore", "take"]

_STOP_S = 1.0


def take(lock_dir: Path, core: int, own_cores: Collection[int]) -> None:
    """In the child, which leads its group: go to the core, when nobody measures there. `own_cores`: where it is now.

    It comes back from its stop when a measurer or the server lets it go on; the server may have moved it meanwhile.
    """
    entry = enter(lock_dir, core)
    with nobody_measures(lock_dir, core) as is_free:
        pass
    if not is_free:
        os.kill(os.getpid(), signal.SIGSTOP)
    if entry.exists():
        os.sched_setaffinity(0, {core})
        if not entry.exists():  # moved between the two lines
            os.sched_setaffinity(0, own_cores)


class BorrowedCore:
    """The server's view of a child on a lent core."""

    def __init__(self, pid: int, core: int, lock_dir: Path, own_cores: Collection[int]) -> None:
        self.core = core
        self._pid, self._lock_dir, self._own_cores = pid, lock_dir, own_cores
        self._entry = entry_of(lock_dir, core, pid)
        self._frozen_since: float | None = None
        self.is_over = False
        """The child has moved to the compile server's own cores."""

    @property
    def is_frozen(self) -> bool:
        """Whether the child stood still when it was last looked at."""
        return self._frozen_since is not None

    def look(self, now: float) -> float:
        """Look at the child; the seconds that it was frozen, when that has just ended, else 0."""
        if is_frozen(self._pid):
            if self._frozen_since is None:
                self._frozen_since = now
            self._let_go_if_forgotten()
            return 0.0
        if self._frozen_since is None:
            return 0.0
        frozen_s, self._frozen_since = now - self._frozen_since, None
        return frozen_s

    def move(self) -> bool:
        """Put the frozen child, and all that it started, on the compile server's own cores and let it go on there.

        False where it could not be held still meanwhile (what it starts then would stay behind).
        """
        group = {self._pid}
        if not freeze(group, _STOP_S):
            return False  # it goes on as one that was forgotten
        self._entry.unlink(missing_ok=True)
        for pid in members(group):
            with suppress(OSError):
                for thread in Path(f"/proc/{pid}/task").iterdir():
                    with suppress(OSError):
                        os.sched_setaffinity(int(thread.name), self._own_cores)
        self.is_over = True
        thaw(group)
        return True

    def end(self) -> None:
        """The child is gone."""
        self._entry.unlink(missing_ok=True)

    def _let_go_if_forgotten(self) -> None:
        if self.is_over:  # stopped by a measurer who had read the register before the move
            thaw([self._pid])
            return
        with nobody_measures(self._lock_dir, self.core) as is_free:
            if is_free:
                thaw([self._pid])
