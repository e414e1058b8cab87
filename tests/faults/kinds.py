"""The kinds of processes that a run on Ray has, and how one of a kind is found while it runs.

Those that live for a moment, a compile worker or a session's, are looked for below their parents, which is cheap enough
to be done fifty times a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.end_to_end.place import MARK, Place

__all__ = ["DRIVER", "KINDS", "Kind", "Scene"]

DRIVER = "driver"


@dataclass(frozen=True)
class Kind:
    """Processes whose command line has this in it."""

    name: str
    mark: str
    below: bool = False
    """The children of such processes."""


KINDS = (
    Kind(DRIVER, ""),
    Kind("GCS", "/gcs/gcs_server "),
    Kind("raylet", "/raylet/raylet "),
    Kind("tuner actor", "ray::TunerActor"),
    Kind("builder actor", "ray::BuilderActor"),
    Kind("device actor", "ray::DeviceActor"),
    Kind("agent of Ray", "/agent.py"),
    Kind("warden", "sweep.devices.farm.supervisor"),
    Kind("tracker", "sweep.devices.farm.tracker_server"),
    Kind("RPC server", "sweep.devices.farm.device_server"),
    Kind("RPC worker", "sweep.devices.farm.device_server", below=True),
    Kind("compile server", "sweep.toolchain.compile_workers.server"),
    Kind("compile worker", "sweep.toolchain.compile_workers.server", below=True),
    Kind("runtime's library", "sweep.devices.runtimes.forking.forking_child"),
    Kind("runtime's process", "sweep.devices.runtimes.forking.forking_child", below=True),
    Kind("MLflow follower", "sweep.record.mlflow.mirror_process"),
)


class Scene:
    """A run under way, with the processes that it has."""

    def __init__(self, place: Place, driver_pid: int) -> None:
        self._place, self._driver_pid = place, driver_pid
        self._parents: dict[str, list[int]] = {}

    def look(self) -> None:
        """Find all its processes anew; the others are forgotten."""
        self._parents.clear()
        for process in self._place.processes():
            for kind in KINDS:
                if kind.mark and _is_of(process.pid, kind.mark):
                    self._parents.setdefault(kind.mark, []).append(process.pid)

    def of(self, kind: Kind) -> list[int]:
        """Pids of a kind, by the last look; children as they are now. Only processes of this run."""
        if kind.name == DRIVER:
            return [self._driver_pid]
        known = self._parents.get(kind.mark, [])
        heads = [pid for pid in known if not _has(known, _parent(pid))]
        if kind.below:
            return [child for pid in heads for child in _children(pid)]
        return [pid for pid in heads if _is_of(pid, kind.mark)]

    def has_no_actor(self) -> bool:
        """Whether none is left of those that write records and use boards."""
        self.look()
        return not any(self.of(kind) for kind in KINDS if kind.name.endswith(" actor"))

    def is_ours(self, pid: int) -> bool:
        """Whether this pid is a process of this run: another may have got it meanwhile."""
        with suppress(OSError):
            return f"{MARK}={self._place.mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        return False


def _has(pids: Sequence[int], pid: int | None) -> bool:
    return pid is not None and pid in pids


def _is_of(pid: int, mark: str) -> bool:
    with suppress(OSError):
        return mark in Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return False


def _parent(pid: int) -> int | None:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    return None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found
