"""Who made a sweep directory, and what a command is about to load of it: code of whoever made it runs as this user.

Of the user the owner of the ledger is all that is known, so that a copy is its copier's; of the host, what the ledger
says of its last run.
"""

from __future__ import annotations

import logging
import os
import platform
import pwd
from pathlib import Path

from sweep.files.sweep_dir import SweepDir

__all__ = ["foreign_maker", "loads", "tell_if_foreign"]


def foreign_maker(sweep_dir: Path, host: object) -> str | None:
    """Who else made a sweep: `user alice`, `somebody on the host 'lab-3'`; None where it was this user on this host.

    host: of its last run, as the ledger has it.
    """
    owner = SweepDir(sweep_dir).ledger.stat().st_uid
    who = None if owner == os.geteuid() else f"user {_name(owner)}"
    if not isinstance(host, str) or host == platform.node():
        return who
    return f"{who or 'somebody'} on the host {host!r}"


def loads(what: str, sweep_dir: Path, host: object, *, has_checksums: bool = True) -> str:
    """A line for who starts a command: what it is about to load, from where, and by what it is believed."""
    maker = foreign_maker(sweep_dir, host) or "this user on this host"
    sums = "SHA-256 as in its ledger" if has_checksums else "an earlier version has left no SHA-256 of it"
    return f"loads {what}, made by {maker}; {sums}"


def tell_if_foreign(sweep_dir: Path, host: object) -> None:
    """Warn that a run goes on with what somebody else has made."""
    if (maker := foreign_maker(sweep_dir, host)) is not None:
        told = "%s was made by %s: this run loads its networks and libraries, SHA-256 as in its ledger"
        logging.getLogger(__name__).warning(told, sweep_dir, maker)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
