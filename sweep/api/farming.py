"""A farm outside a run: up until it is told otherwise, seen and ended from other processes."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweep.devices.farm import Farm
from sweep.study.cluster import Cluster

__all__ = ["describe", "keep_up", "take_down"]


def farm_dir(cluster: Cluster) -> Path:
    """Where the farm of a cluster file keeps its state: in the user's cache folder, by the file's own path."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(str(cluster.path.resolve()).encode()).hexdigest()[:8]
    return cache / "tvm-sweep" / "farms" / f"{cluster.name}-{digest}"


def keep_up(cluster: Cluster, say: Callable[[str], None]) -> int:
    """Start tracker and servers and hold them until Ctrl-C, or until `take_down` in another process.

    Raises:
        DeviceLost: something does not come up.
    """
    farm = Farm(cluster, farm_dir(cluster))
    address = farm.up()
    try:
        keys = ", ".join(device.key for device in cluster.devices if device.managed)
        say(f"tracker at {address.tracker_host}:{address.tracker_port}, serving {keys}")
        say(f"export TVM_TRACKER_HOST={address.tracker_host} TVM_TRACKER_PORT={address.tracker_port}")
        say("Ctrl-C ends it")
        _until_down(farm)
        say("the farm was taken down")
    except KeyboardInterrupt:
        say("closing")
    finally:
        farm.down()
    return 0


def describe(cluster: Cluster) -> tuple[str, dict[str, Any]]:
    """What the farm of a cluster file is doing, as text and as data."""
    status = Farm(cluster, farm_dir(cluster)).status()
    data: dict[str, Any] = {
        "tracker": None
        if status.address is None
        else {"host": status.address.tracker_host, "port": status.address.tracker_port},
        "problem": status.problem,
        "devices": {
            key: {"total": found.total, "free": found.free, "broken": found.broken, "pids": list(found.pids)}
            for key, found in status.keys.items()
        },
    }
    if status.address is None:
        return f"{cluster.name}: down" + (f" ({status.problem})" if status.problem else ""), data
    lines = [f"{cluster.name}: tracker at {status.address.tracker_host}:{status.address.tracker_port}"]
    lines += [f"  {status.problem}"] if status.problem else []
    lines += [f"  {key}: {k.total} in all, {k.free} free, {k.broken} broken" for key, k in status.keys.items()]
    return "\n".join(lines), data


def take_down(cluster: Cluster) -> str:
    """Stop the farm of a cluster file, whoever started it."""
    farm = Farm(cluster, farm_dir(cluster))
    was_up = farm.status().address is not None
    farm.down()
    return f"{cluster.name}: taken down" if was_up else f"{cluster.name}: was not up"


def _until_down(farm: Farm) -> None:
    """Wait until the farm's state is gone; looked at once a second, since another process ends it."""
    forever = threading.Event()
    while farm.status().address is not None:
        forever.wait(1.0)
