"""Checks what commands take for a cluster in this folder where none is named."""

from __future__ import annotations

from pathlib import Path

from sweep.doctor.finding import Finding
from sweep.errors import StudyError
from sweep.study.cluster.cluster import DEFAULT_FILE
from sweep.study.gate import load_cluster, local_cluster
from sweep.suggestions import listed

__all__ = ["check_cluster"]


def check_cluster(folder: Path | None = None) -> list[Finding]:
    """`folder` is where commands are typed: the current one."""
    path = (folder or Path.cwd()) / DEFAULT_FILE
    if not path.exists():
        (device,) = local_cluster().devices
        taken = f"one device on this machine, `{device.key}` on core {device.cores[0]}"
        mend = "`sweep init` writes one to change, for boards or more devices"
        return [Finding("cluster file", None, f"no {DEFAULT_FILE} here: commands take {taken}", mend)]
    try:
        keys = [device.key for device in load_cluster(path).devices]
    except StudyError as error:
        return [Finding("cluster file", False, str(error), "change what the line names")]
    return [Finding("cluster file", True, f"{DEFAULT_FILE}: {listed(keys)}")]
