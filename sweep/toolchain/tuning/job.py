"""What a tuner is asked to do, and where it may build and measure. Plain data and one protocol; no TVM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

__all__ = ["Laboratory", "TuneJob", "TuningTask"]


class Laboratory(Protocol):
    """Where candidates are built and measured. Futures end in a result or raise an error of the tree."""

    def build(self, module_json: str, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        """Build a scheduled module into `lib`; result has `build_s`."""

    def measure(self, lib: Path, args: list[dict[str, Any]], options: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Time a candidate on the tuning device; result has `run_secs` and `seconds`."""


@dataclass(frozen=True, slots=True)
class TuningTask:
    """A tuning task of a lowered module."""

    workload: str
    name: str
    weight: int
    trivial: bool
    """One trial is enough: there is no decision to take."""
    module: Path
    """The task's IRModule, serialised."""


@dataclass(frozen=True, slots=True)
class TuneJob:
    """What a tune stage asks for."""

    label: str
    tasks: Sequence[TuningTask]
    tuner: str
    """The tuner's label in the study."""
    device: str
    seed: int
    options: Mapping[str, Any]
