"""What runs, asked in a way that a process which ends meanwhile cannot disturb.

Between a list of processes and a question about one of them it may end, or end and wait for its parent to ask after
it (a zombie has no command line): `psutil` raises then, and a test would fail by chance.
"""

from __future__ import annotations

from collections.abc import Iterable

import psutil

__all__ = ["command_of", "is_gone", "listening_at"]


def command_of(process: psutil.Process) -> list[str]:
    """The words of its command line; none where it has ended."""
    try:
        return list(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie too
        return []


def is_gone(process: psutil.Process) -> bool:
    """Whether it has ended, be it that its parent has not asked after it yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def listening_at(processes: Iterable[psutil.Process], kind: str = "all") -> set[tuple[str, int]]:
    """Addresses and ports at which they listen."""
    found: set[tuple[str, int]] = set()
    for process in processes:
        try:
            connections = process.net_connections(kind)
        except psutil.NoSuchProcess:
            continue
        found |= {(one.laddr.ip, one.laddr.port) for one in connections if one.status == psutil.CONN_LISTEN}
    return found
