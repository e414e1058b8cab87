"""Workers that outlive their raylet: a killed one takes none along, and they go on for up to half a minute.

Meanwhile they would write records that others write by then, keep boards, and fill a folder that is to go away.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["end_strays"]

_GONE_S = 10.0
_POLL_S = 0.05


def end_strays(name: str, value: str) -> None:
    """Kill every process with this variable in its environment that does not descend from this one, and see it gone."""
    deadline = time.monotonic() + _GONE_S
    while (strays := _strays(f"{name}={value}".encode())) and time.monotonic() < deadline:
        for pid in strays:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)


def _strays(entry: bytes) -> list[int]:
    found, parents = [], {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):  # it has ended, or is another user's
            stat = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            parents[int(folder.name)] = int(stat[1])
            if stat[0] not in "ZX" and entry in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return [pid for pid in found if not _descends(pid, parents)]


def _descends(pid: int, parents: Mapping[int, int]) -> bool:
    """Whether it is of this process's own tree, or this process."""
    seen: set[int] = set()
    while pid not in seen:
        if pid == os.getpid():
            return True
        seen.add(pid)
        pid = parents.get(pid, 0)
    return False
