"""Checks whether the machine is fit: cores, memory, disk, shared memory, ports."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from sweep.doctor.finding import Finding

__all__ = ["check_machine"]

GIB = 1024**3
LEAST_MEMORY_GIB, GOOD_MEMORY_GIB = 1.0, 4.0
"""The driver, Ray, a builder with TVM and two device servers hold about 2 GiB for the quickstart."""
LEAST_DISK_GIB, GOOD_DISK_GIB = 0.5, 5.0
"""The quickstart's sweep takes some tens of MB; a large network's import with its weights 0.6 GB."""
GOOD_SHARED_MEMORY_GIB = 0.25


def check_machine(folder: Path | None = None) -> list[Finding]:
    """`folder` is where a sweep would be written: the current one."""
    import psutil

    return [
        _check_cores(len(os.sched_getaffinity(0)), os.cpu_count() or 1, _quota_cores()),
        _check_memory(psutil.virtual_memory().available / GIB),
        _check_disk(folder or Path.cwd()),
        _check_shared_memory(Path("/dev/shm")),
        _check_ports(),
    ]


def _check_cores(usable: int, there: int, quota: float | None) -> Finding:
    detail = f"{usable} of {there} usable"
    if quota is not None and quota < usable:
        mend = "raise the container's CPU limit: a throttled core makes measurements worthless"
        return Finding("cores", None, f"{detail}, but a quota of {quota:g} throttles them", mend)
    if usable < 2:
        mend = "use two cores or more"
        return Finding("cores", None, f"{detail}: search, building and measurement will disturb each other", mend)
    return Finding("cores", True, detail)


def _quota_cores() -> float | None:
    """The container's CPU limit in cores (cgroup v2); None when there is none."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _check_memory(available_gib: float) -> Finding:
    ok = True if available_gib >= GOOD_MEMORY_GIB else None if available_gib >= LEAST_MEMORY_GIB else False
    mend = "" if ok else f"free some: {GOOD_MEMORY_GIB:g} GiB is comfortable"
    return Finding("memory", ok, f"{available_gib:.1f} GiB available", mend)


def _check_disk(folder: Path) -> Finding:
    if not os.access(folder, os.W_OK):
        return Finding("disk", False, f"{folder} cannot be written to", "go to another folder, or use --out")
    free_gib = shutil.disk_usage(folder).free / GIB
    ok = True if free_gib >= GOOD_DISK_GIB else None if free_gib >= LEAST_DISK_GIB else False
    mend = "" if ok else "free some space, or use --out on another disk"
    return Finding("disk", ok, f"{free_gib:.1f} GiB free in {folder}", mend)


def _check_shared_memory(path: Path) -> Finding:
    if not path.is_dir():
        return Finding("shared memory", None, f"no {path}: Ray will use slower files", f"mount a tmpfs on {path}")
    free_gib = shutil.disk_usage(path).free / GIB
    ok = True if free_gib >= GOOD_SHARED_MEMORY_GIB else None
    mend = "" if ok else "give the container more, such as docker run --shm-size=1g"
    return Finding("shared memory", ok, f"{free_gib:.1f} GiB free in {path}", mend)


def _check_ports() -> Finding:
    """The tracker, the device servers and Ray listen on loopback and talk to each other there."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
            with socket.create_connection(address, timeout=2.0):
                return Finding("ports", True, "loopback ports can be bound and reached")
    except OSError as error:
        return Finding("ports", False, f"loopback does not work: {error}", "allow 127.0.0.1 in the sandbox or firewall")
