"""How much memory one job may take: a share of what this host, or this container, has."""

from __future__ import annotations

import os
import resource
from pathlib import Path

__all__ = ["job_memory_bytes", "left_to_this_process", "mapped_bytes"]

_SHARE = 0.75
"""Of the whole: a network that needs more would have the kernel kill somebody, and not by choice."""
_LEAST_BYTES = 4 << 30
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def job_memory_bytes() -> int:
    """What a job may map above the server's own size, where nobody says: a model of 148 bytes can ask for terabytes."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _LIMITS:
        try:
            whole = min(whole, int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such file, or `max`
            continue
    return max(_LEAST_BYTES, int(whole * _SHARE))


def left_to_this_process() -> int:
    """What it may still map; the share of a job where nothing limits it."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return job_memory_bytes() if limit == resource.RLIM_INFINITY else max(0, limit - mapped_bytes())


def mapped_bytes() -> int:
    """What this process has mapped."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
