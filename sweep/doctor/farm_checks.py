"""Checks the tracker that the environment names, and finds processes and state that earlier farms left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from sweep.devices.farm.farm_state import supervisor_in
from sweep.devices.processes import is_alive
from sweep.devices.rpc.tracker_client import TrackerClient
from sweep.doctor.finding import Finding
from sweep.errors import DeviceLost

__all__ = ["check_leftovers", "check_tracker"]

STATE_FILES = ("farm.json", "*/farm.json", "*/*/farm.json")
STATE_FOLDERS = (".sweep", "sweeps")
OUR_MODULES = (
    "sweep.devices.farm.supervisor",
    "sweep.devices.farm.device_server",
    "sweep.devices.farm.tracker_server",
    "sweep.toolchain.compile_workers.server",
)


def check_tracker(environment: Mapping[str, str] = os.environ) -> list[Finding]:
    """Silent when no tracker is named: a local cluster starts its own."""
    host, port = environment.get("TVM_TRACKER_HOST"), environment.get("TVM_TRACKER_PORT")
    if not host and not port:
        return []
    if not host or not port or not port.isdecimal():
        detail = f"TVM_TRACKER_HOST={host or ''} TVM_TRACKER_PORT={port or ''} do not name a tracker"
        return [Finding("tracker", False, detail, "set both, or neither")]
    try:
        keys = TrackerClient(host, int(port)).keys()
    except DeviceLost as error:
        mend = "start it (python -m tvm.exec.rpc_tracker), or mend TVM_TRACKER_HOST and TVM_TRACKER_PORT"
        return [Finding("tracker", False, str(error), mend)]
    boards = ", ".join(f"{key} ({state.free} of {state.total} free)" for key, state in keys.items())
    return [Finding("tracker", True, f"{host}:{port} has {boards or 'no devices'}")]


def check_leftovers(folder: Path | None = None) -> list[Finding]:
    """Processes without a parent, and farm states without a farm, in the sweep directories of `folder`."""
    findings = []
    orphans = sorted(_orphans())
    if orphans:
        detail = "left by a run that was killed: " + ", ".join(f"{pid} ({module})" for pid, module in orphans)
        findings.append(Finding("processes", None, detail, "kill " + " ".join(str(pid) for pid, _ in orphans)))
    stale = [path for path in _state_files(folder or Path.cwd()) if not _is_up(path)]
    if stale:
        mend = "none needed: the next run there clears it; or rm " + " ".join(map(str, stale))
        findings.append(Finding("farm", None, f"stale state in {', '.join(str(path.parent) for path in stale)}", mend))
    return findings or [Finding("leftovers", True, "no stray processes, no stale farm")]


def _orphans() -> Iterator[tuple[int, str]]:
    import psutil

    for process in psutil.process_iter(["pid", "ppid", "cmdline"]):
        command = process.info["cmdline"] or []
        module = next((part for part in command if part in OUR_MODULES), None)
        if module is not None and process.info["ppid"] == 1:
            yield process.info["pid"], module


def _state_files(folder: Path) -> list[Path]:
    return sorted(path for name in STATE_FOLDERS for pattern in STATE_FILES for path in (folder / name).glob(pattern))


def _is_up(state_file: Path) -> bool:
    supervisor = supervisor_in(state_file)
    return supervisor is not None and is_alive(supervisor)
