"""The roof of a device, from the kernels that were timed on it: its most operations a second, and bytes a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sweep.planning.results.roofline_results import COMPUTE, STREAM, DeviceRoof, RoofKernel

__all__ = ["Rate", "Roof", "roof_of"]


@dataclass(frozen=True, slots=True)
class Rate:
    """Work a second, by the median of a kernel's times, and by the slowest and the fastest of them."""

    kernel: str
    value: float
    low: float
    high: float
    footprint_bytes: int

    def to_json(self) -> dict[str, Any]:
        """For tables and JSON."""
        return {
            "kernel": self.kernel,
            "per_s": self.value,
            "per_s_low": self.low,
            "per_s_high": self.high,
            "footprint_bytes": self.footprint_bytes,
        }


@dataclass(frozen=True, slots=True)
class Roof:
    """What a device did at most."""

    device: str
    threads: int
    operations: Rate
    """Of the fastest kernel of arithmetic."""
    streams: Sequence[Rate]
    """By their footprint, the least first; the last lies in no cache."""

    @property
    def memory(self) -> Rate:
        """Of what lies in no cache."""
        return self.streams[-1]

    def bandwidth_for(self, traffic_bytes: float) -> float:
        """Bytes a second for a layer with so much traffic: it was timed again and again, so that it lies in the caches
        that hold it.
        """
        held = (rate.value for rate in self.streams if rate.footprint_bytes >= traffic_bytes)
        return next(held, self.memory.value)

    def to_json(self) -> dict[str, Any]:
        """For tables and JSON."""
        return {
            "device": self.device,
            "threads": self.threads,
            "operations": self.operations.to_json(),
            "streams": [rate.to_json() for rate in self.streams],
        }


def roof_of(measured: DeviceRoof) -> Roof | None:
    """None where a kind of kernel has no time."""
    rates: Mapping[str, list[Rate]] = {COMPUTE: [], STREAM: []}
    for kernel in measured.kernels:
        if kernel.run_secs and kernel.kind in rates:
            rates[kernel.kind].append(_rate(kernel))
    if not rates[COMPUTE] or not rates[STREAM]:
        return None
    streams = sorted(rates[STREAM], key=lambda rate: rate.footprint_bytes)
    best = max(rates[COMPUTE], key=lambda rate: rate.value)
    return Roof(measured.device, measured.threads, best, streams)


def _rate(kernel: RoofKernel) -> Rate:
    seconds = kernel.run_secs
    return Rate(
        kernel.name,
        kernel.work / median(seconds),
        kernel.work / max(seconds),
        kernel.work / min(seconds),
        kernel.footprint_bytes,
    )
