"""The site of an engine: the sweep directory, the devices, and the owner of each core of this host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.devices.processes import boot_id
from sweep.study.cluster.cluster import Cluster, Device

__all__ = ["Site", "cache_dir", "compile_cores_of", "host_lock_dir", "lent_cores_of"]


@dataclass(frozen=True, slots=True)
class Site:
    """The folders, devices and cores that an engine works with."""

    sweep_dir: Path
    lock_dir: Path
    """Where all sweeps of this host agree who uses which core and which board."""
    tracker_host: str
    tracker_port: int
    devices: Mapping[str, Device]
    compile_cores: tuple[int, ...]
    """Cores that search and build may use: those that no local device owns."""
    shares_cores: bool
    """True when devices own every core, so that search has to disturb them; and builds, unless the cores are lent."""
    lent_cores: tuple[int, ...] = ()
    """Devices' cores that builds may use between measurements."""
    home: str = ""
    """The engine's name for the driver's node, whose cores these are; empty where there is one node alone."""

    @property
    def generates_for_this_cpu(self) -> bool:
        """Whether code is generated for a CPU that only the node that does it can name."""
        return any("native" in device.target for device in self.devices.values())

    @property
    def free_cores(self) -> tuple[int, ...]:
        """Cores that no local device has: what is loaded there disturbs no measurement."""
        return () if self.shares_cores else self.compile_cores

    def seen_from(self, node: str) -> Site:
        """As a process on this node is to take it: cores are the driver's node's alone."""
        if node == self.home:
            return self
        return replace(self, compile_cores=(), shares_cores=False, lent_cores=())

    def own_slots(self, wanted: int) -> int:
        """How many builds may run beside measurements: none where all cores are devices', and lent."""
        return 0 if self.shares_cores and self.lent_cores else wanted


def compile_cores_of(cluster: Cluster) -> tuple[tuple[int, ...], bool]:
    """Cores left for search and build, and whether they had to be shared with a device."""
    mine = os.sched_getaffinity(0)
    owned = {core for device in cluster.devices if device.managed for core in device.cores}
    free = tuple(sorted(mine - owned))
    return (free, False) if free else (tuple(sorted(mine)), True)


def lent_cores_of(cluster: Cluster) -> tuple[int, ...]:
    """Cores that devices lend between their measurements; a core of several devices, if each of them lends it."""
    local = [device for device in cluster.devices if device.managed]
    lent = {core for device in local if device.lend for core in device.cores}
    kept = {core for device in local if not device.lend for core in device.cores}
    return tuple(sorted((lent - kept) & os.sched_getaffinity(0)))


def cache_dir() -> Path:
    """What all sweeps of a user share."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tvm-sweep"


def host_lock_dir() -> Path:
    """Where leases and locks of this host's cores and boards lie, and the registers of who was lent a core: in the
    user's cache folder, so that all sweeps find the same ones. A home may be shared by several hosts, whose cores have
    the same numbers, so each has a folder of its own, by its boot.
    """
    return cache_dir() / "locks" / boot_id()[:13]
