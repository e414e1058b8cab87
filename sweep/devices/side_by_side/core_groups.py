"""Which cores two networks run on side by side: two groups of a device's cores, as many in each as one has threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sweep.analysis.formatting import plural
from sweep.devices.rpc.remote import device_type

if TYPE_CHECKING:
    from sweep.study.cluster.cluster import Device

__all__ = ["Groups", "core_groups", "why_in_turns"]

Groups = tuple[tuple[int, ...], tuple[int, ...]]


def why_in_turns(device: Device, threads: int) -> str | None:
    """Why two networks of so many threads cannot run side by side on a device; None where they can."""
    if not device.is_this_host:
        return f"{device.key} is not this host"
    if device_type(device.target) != "cpu":
        return f"{device.key} is no CPU"
    if len(device.cores) < 2 * threads:
        wanted = f"two networks of {plural(threads, 'thread')} each want {2 * threads}"
        return f"{device.key} has {plural(len(device.cores), 'core')}, and {wanted}"
    return None


def core_groups(cores: tuple[int, ...], threads: int) -> Groups:
    """The first cores, in the order of the cluster file, and as many after them."""
    return cores[:threads], cores[threads : 2 * threads]
