"""Keeps the measurements of an overlay's networks, a line each, from one overlay of a sweep to the next."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.files.line_log import append_line, cut_torn_line
from sweep.toolchain.native_log import lines_of

__all__ = ["NetworkLog"]

_NAME = "networks.jsonl"


class NetworkLog:
    """The log of measured networks in a file of lines, which one overlay at a time writes."""

    def __init__(self, folder: Path) -> None:
        """Open it, making or mending it; a damaged line counts as not measured."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / _NAME
        cut_torn_line(self._path)
        self._results: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for line in lines_of(self._path):
            try:
                record = json.loads(line or "")
                key, result = (record["device"], record["artifact"]), dict(record["result"])
            except (ValueError, KeyError, TypeError):
                continue
            self._results.setdefault(key, []).append(result)

    def of(self, device: str, artifact: str) -> list[Mapping[str, Any]]:
        """What was measured of an artifact on a device, in order: each as a measure stage has it."""
        return list(self._results.get((device, artifact), ()))

    def add(self, device: str, artifact: str, kind: str, result: Mapping[str, Any]) -> None:
        """Keep one more. Raises OSError where the disk refuses."""
        line = {"t": time.time(), "device": device, "artifact": artifact, "kind": kind, "result": result}
        append_line(self._path, json.dumps(line))
        self._results.setdefault((device, artifact), []).append(result)
