"""A farm outside a run: up until it is told otherwise, seen and ended from other processes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sweep.analysis.formatting import plural
from sweep.api.session.connectivity import check_tracker
from sweep.api.session.farm_session import running_farms_dir
from sweep.devices.farm.farm import Farm
from sweep.devices.farm.farm_registry import farms_announced
from sweep.devices.farm.farm_status import BoardStatus, FarmStatus, KeyStatus, together
from sweep.devices.rpc.tracker_client import TrackerClient
from sweep.engine.site import cache_dir, host_lock_dir
from sweep.errors import StudyError
from sweep.study.cluster.cluster import PRETENDED, Cluster

__all__ = ["FarmReport", "farm_dir", "farm_down", "farm_status", "farm_up"]


def farm_dir(cluster: Cluster) -> Path:
    """Where the farm of a cluster file keeps its state: in the user's cache folder, by the file's own path."""
    digest = hashlib.sha256(str(cluster.path.resolve()).encode()).hexdigest()[:8]
    return cache_dir() / "farms" / f"{cluster.name}-{digest}"


def farm_up(cluster: Cluster, say: Callable[[str], None] = print) -> None:
    """Start tracker and servers and hold them until Ctrl-C, or until `farm_down` in another process.

    Where there is nothing to start, since tracker and servers are others', says what is there and returns.

    Raises:
        StudyError: the devices are made up, or nobody answers where others' tracker should be.
        DeviceLost: something does not come up.
    """
    if cluster.engine in PRETENDED:
        allowed = "ray, inline: made-up devices need no servers"
        raise StudyError("has no farm", file=cluster.path, key="engine", value=cluster.engine, allowed=allowed)
    check_tracker(cluster)
    farm = Farm(cluster, farm_dir(cluster))
    address = farm.up()
    where = f"tracker at {address.tracker_host}:{address.tracker_port}"
    mine = ", ".join(device.key for device in cluster.devices if device.managed)
    if not mine and not cluster.tracker.managed:
        there = ", ".join(TrackerClient(address.tracker_host, address.tracker_port).keys()) or "none"
        say(f"{where} answers, nothing to start; keys there: {there}")
        return
    try:
        say(f"{where}, serving {mine}")
        say(f"export TVM_TRACKER_HOST={address.tracker_host} TVM_TRACKER_PORT={address.tracker_port}")
        say("Ctrl-C ends it")
        _until_down(farm)
        say("the farm was taken down")
    except KeyboardInterrupt:
        say("closing")
    finally:
        farm.down()


@dataclass(frozen=True, slots=True)
class FarmReport:
    """The status of the farm of a cluster file, with the state of each board."""

    cluster: str
    status: FarmStatus

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        address = self.status.address
        return {
            "tracker": None if address is None else {"host": address.tracker_host, "port": address.tracker_port},
            "problem": self.status.problem,
            "devices": {key: _key_data(state) for key, state in self.status.keys.items()},
        }

    def as_text(self) -> str:
        """For people."""
        address, problem = self.status.address, self.status.problem
        if address is None:
            return f"{self.cluster}: down" + (f" ({problem})" if problem else "")
        lines = [f"{self.cluster}: tracker at {address.tracker_host}:{address.tracker_port}"]
        lines += [f"  {problem}"] if problem else []
        for key, state in self.status.keys.items():
            lines.append(
                f"  {key}: {state.total} in all, {state.free} free, {state.leased} leased, {state.broken} broken, "
                f"{_seen(state)}"
            )
            lines += [f"    {line}" for board in state.boards if (line := _board_line(board))]
        return "\n".join(lines)


def farm_status(cluster: Cluster) -> FarmReport:
    """What the boards of a cluster file are doing: those of `farm_up`, and of all runs.

    Raises nothing: a tracker that is away, and what else is broken, is told of in the report.
    """
    return FarmReport(cluster.name, _status(cluster))


def farm_down(cluster: Cluster) -> str:
    """Stop the farm of a cluster file, whoever started it, and say what there was to stop. Raises nothing."""
    farm = Farm(cluster, farm_dir(cluster))
    is_others = not cluster.tracker.managed and not any(device.managed for device in cluster.devices)
    if is_others:
        return f"{cluster.name}: nothing to take down, tracker and servers are not ours"
    was_up = (farm.state_dir / "farm.json").exists()
    farm.down()
    return f"{cluster.name}: taken down" if was_up else f"{cluster.name}: was not up"


def _status(cluster: Cluster) -> FarmStatus:
    own = Farm(cluster, farm_dir(cluster)).status(host_lock_dir())
    if not cluster.tracker.managed:
        return own  # all of them are at its tracker
    of_runs = farms_announced(running_farms_dir(), cluster.path)
    return together([own, *(Farm(cluster, state_dir).status(host_lock_dir()) for state_dir in of_runs)])


def _key_data(key: KeyStatus) -> dict[str, Any]:
    return {
        "total": key.total,
        "free": key.free,
        "leased": key.leased,
        "broken": key.broken,
        "last_seen": _now() if key.is_there else _time(key.last_seen),
        "pids": list(key.pids),
        "boards": [_board_data(board) for board in key.boards],
    }


def _board_data(board: BoardStatus) -> dict[str, Any]:
    return {
        "board": board.board,
        "state": board.state,
        "leased_by": None
        if board.holder_pid is None
        else {"pid": board.holder_pid, "sweep": board.sweep, "since": _time(board.since)},
        "failures": board.failures,
        "reason": board.reason,
        "again_in_s": board.again_in_s,
        "last_seen": _now() if board.state in ("at the tracker", "leased") else _time(board.last_seen),
    }


def _board_line(board: BoardStatus) -> str:
    """What is special of a board; nothing of one that waits for work."""
    if board.holder_pid is not None:
        by = f"process {board.holder_pid}" + (f", {board.sweep}" if board.sweep else "")
        return f"{board.board} leased by {by}, since {_clock(board.since)}"
    if board.state == "set aside":
        again = "now" if not board.again_in_s else f"in {board.again_in_s:.0f} s"
        return f"{board.board} set aside after {plural(board.failures, 'failure')}, tried again {again}: {board.reason}"
    if board.failures:
        return f"{board.board} {board.state}, failed {plural(board.failures, 'time')}: {board.reason}"
    return ""


def _seen(key: KeyStatus) -> str:
    if key.is_there:
        return "there now"
    return "never seen" if key.last_seen is None else f"last seen {_clock(key.last_seen)}"


def _clock(seconds: float | None) -> str:
    return "?" if seconds is None else datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _time(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _until_down(farm: Farm) -> None:
    """Wait until the farm's state is gone; looked at once a second, since another process ends it."""
    forever = threading.Event()
    while (farm.state_dir / "farm.json").exists():
        forever.wait(1.0)
