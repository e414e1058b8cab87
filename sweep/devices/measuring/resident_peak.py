"""The memory that a network needs in a process of its own: the peak of the resident set above what it held idle."""

from __future__ import annotations

import ctypes
import gc
import resource
from contextlib import suppress

from sweep.devices.measuring import conditions

__all__ = ["MAXRSS", "OWN", "VMHWM", "PeakMemory", "resident_bytes"]

VMHWM, MAXRSS = "VmHWM", "ru_maxrss"
"""How it was read: the kernel's high-water mark, forgotten before the calls, or, where the kernel does not let us
forget it, getrusage's of the whole life of the process, in which the network's loading is."""
OWN = "runtime"
"""The runtime tells it: its network's memory is not, or not alone, that of its process."""


class PeakMemory:
    """What this process needs from now on; made once its libraries are loaded, and before the network is."""

    def __init__(self) -> None:
        gc.collect()
        with suppress(OSError, AttributeError):  # musl has none
            ctypes.CDLL(None).malloc_trim(0)  # else what the imports have freed would serve the network, uncounted
        idle = conditions.reset_peak()
        self.method = MAXRSS if idle is None else VMHWM
        self.idle_bytes = (resident_bytes() or 0) if idle is None else idle

    def forget(self) -> None:
        """The peak so far does not count."""
        conditions.reset_peak()

    def above_idle(self) -> int:
        """In bytes."""
        peak = conditions.peak_bytes() if self.method == VMHWM else None
        if peak is None:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return max(0, peak - self.idle_bytes)


def resident_bytes() -> int | None:
    """The resident set of this process now; None where /proc does not tell it."""
    return conditions.status_bytes("VmRSS")
