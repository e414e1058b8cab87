"""Reads the status of a farm from its supervisor's state file, its tracker, and the registers of this host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.devices.farm.farm_status import FarmAddress, FarmStatus, key_status
from sweep.devices.leasing.register import boards_of, is_held, now_s
from sweep.devices.rpc.tracker_client import TrackerClient
from sweep.errors import DeviceLost

if TYPE_CHECKING:
    from sweep.study.cluster.cluster import Cluster

__all__ = ["absent_keys", "survey"]


def survey(cluster: Cluster, state: Mapping[str, Any] | None, lock_dir: Path | None) -> FarmStatus:
    """What is there; what is broken is told, not raised.

    state: of `farm.json`; None where the cluster's own tracker is asked. lock_dir: of this host's registers, which know
    who has leased a board and which are set aside.
    """
    address = FarmAddress(cluster.tracker.host, cluster.tracker.port)
    if state is not None:
        address = FarmAddress(state["tracker"]["host"], state["tracker"]["port"])
    problem = None
    try:
        at_tracker = TrackerClient(address.tracker_host, address.tracker_port).keys()
    except DeviceLost as error:
        at_tracker, problem = {}, str(error)
    processes = [] if state is None else state["processes"]
    tracker, at_s = f"{address.tracker_host}:{address.tracker_port}", now_s()
    expected = _expected(cluster, processes)
    keys = {
        key: key_status(
            expected.get(key, 0),
            [process for process in processes if process["key"] == key],
            at_tracker.get(key),
            {} if lock_dir is None else boards_of(lock_dir, tracker, key).read(),
            now_s=at_s,
            is_held=is_held,
        )
        for key in sorted({*expected, *at_tracker})
    }
    return FarmStatus(address, problem, keys)


def absent_keys(address: FarmAddress, expected: Mapping[str, int]) -> list[str]:
    """Which keys have not all their servers at the tracker yet; it may itself be starting."""
    try:
        there = TrackerClient(address.tracker_host, address.tracker_port).keys()
    except DeviceLost:
        return ["the tracker"]
    return [key for key, count in expected.items() if key not in there or there[key].total < count]


def _expected(cluster: Cluster, processes: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many boards a key should have: those that run here, and those that the file says are elsewhere."""
    counts = {device.key: device.count for device in cluster.devices if not device.managed}
    for process in processes:
        if process["key"] is not None:
            counts[process["key"]] = counts.get(process["key"], 0) + 1
    return counts
