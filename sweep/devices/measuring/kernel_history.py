"""Keeps what the sentinel kernel took on each device of this host, across runs, with its dates."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from sweep.analysis.usual_kernel import usual_s
from sweep.files.atomic import write_text

__all__ = ["KernelHistory"]

KEPT = 400
"""Times of a device; the oldest go first."""
OLDEST_S = 90 * 86_400.0
"""A host that was changed since is another one."""


class KernelHistory:
    """The times of one host, in a file of the user's. What cannot be read is no history, and a new one begins."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sentinel_kernel_times.json"

    def usual_s(self, device: str) -> float | None:
        """What the kernel takes as a rule on a device; None while too little is known."""
        return usual_s([seconds for _, seconds in self._read().get(device, [])])

    def add(self, device: str, result: Mapping[str, Any]) -> None:
        """Keep the times around a measurement, unless others wanted the cores then."""
        conditions = result["conditions"]
        if conditions.get("competitors_before") or conditions.get("competitors_after"):
            return
        sides = (result["reference_before_s"], result["reference_after_s"])
        times = [[time.time(), median(side)] for side in sides if side]
        if not times:
            return
        known = self._read()
        since = time.time() - OLDEST_S
        kept = [entry for entry in known.get(device, []) if entry[0] > since]
        known[device] = [*kept, *times][-KEPT:]
        with suppress(OSError):  # a full disk costs the history alone
            write_text(self._path, json.dumps(known))

    def _read(self) -> dict[str, list[Sequence[float]]]:
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
            return {
                str(device): [(float(t), float(seconds)) for t, seconds in times if float(seconds) > 0]
                for device, times in known.items()
            }
        except (OSError, ValueError, TypeError, AttributeError):
            return {}
