"""Decides whether code for a target can run on a device, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.study.cluster.cluster import Device
from sweep.study.spec import NATIVE, Target
from sweep.study.targets import host, known_targets
from sweep.study.targets.written_target import architectures_of
from sweep.suggestions import listed

__all__ = ["fit", "missing_features"]


def fit(target: Target, device: Device) -> str | None:
    """Why the target cannot run on the device; none when it can.

    A device takes what its own target says, even where the host below could do more: a device declared as `core-avx2`
    stands for such a machine.
    """
    if target.attrs["kind"] == NATIVE:
        return None
    wanted, there = architectures_of(_with_triple(target.attrs, device.target)), architectures_of(device.target)
    if not set(wanted) & set(there):
        return f"it is for {listed(wanted)}, the device is {listed(there)}"
    lacking = missing_features(_with_triple(target.attrs, device.target), device.target)
    if lacking:
        return f"the device lacks {listed(lacking)}"
    cores = target.attrs.get("num-cores", device.threads)
    if cores > device.threads:
        return f"it is for {_counted(cores, 'core')}, the device runs {_counted(device.threads, 'thread')}"
    return None


def missing_features(attrs: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Decisive features that code for `attrs` may use and a device whose own target is `own` does not have."""
    arch = next(iter(set(architectures_of(attrs)) & set(architectures_of(own))), None)
    if arch is None or arch not in known_targets.architectures():
        return []
    wanted = known_targets.features_of(arch, attrs.get("mcpu"), attrs.get("mattr", ()))
    if NATIVE not in own:
        return sorted(wanted - known_targets.features_of(arch, own.get("mcpu"), own.get("mattr", ())))
    # Where the system lists no features, as on RISC-V, nothing can be said
    return sorted(wanted - host.features()) if host.features() else []


def _with_triple(attrs: Mapping[str, Any], own: Mapping[str, Any]) -> Mapping[str, Any]:
    """A target that names no triple is for the device's, if its CPU and its features are of that architecture."""
    if "mtriple" in attrs or "mtriple" not in own:
        return attrs
    (arch,) = architectures_of(own)
    if "mcpu" in attrs and attrs["mcpu"] not in known_targets.cpus(arch):
        return attrs
    if not known_targets.feature_names(arch).issuperset(feature[1:] for feature in attrs.get("mattr", ())):
        return attrs
    return {**attrs, "mtriple": own["mtriple"]}


def _counted(count: int, noun: str) -> str:
    return f"1 {noun}" if count == 1 else f"{count} {noun}s"
