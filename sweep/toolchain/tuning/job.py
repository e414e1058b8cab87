"""What a tuner is asked to do, and where it may build and measure. Plain data and one protocol; no TVM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Arguments = list[dict[str, Any]]
"""`shape` and `dtype` of each argument of a candidate."""

__all__ = ["Arguments", "CandidateService", "TuneJob", "TuningTask"]


class CandidateService(Protocol):
    """Where candidates are built and measured. Futures end in a result or raise an error of the tree."""

    @property
    def build_slots(self) -> int:
        """Builds at a time."""

    def build(self, module_json: str, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        """Build a scheduled module into `lib`; result has `build_s`."""

    def measure(self, lib: Path, args: Arguments, options: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Time a candidate on the tuning device; result has `run_secs` and `seconds`."""

    def compare(
        self, candidates: Sequence[tuple[Path, Arguments]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]:
        """Time candidates in turns; result has `run_secs`, a list for each, and `seconds`."""


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
    family: str = ""
    """Of workloads that differ only in what surrounds the block that does the work; empty for one without relatives."""


@dataclass(frozen=True, slots=True)
class TuneJob:
    """What a tune stage asks for: its lowered module joins the pool of its tuner."""

    label: str
    tasks: Sequence[TuningTask]
    tuner: str
    """The tuner's label in the study."""
    device: str
    seed: int
    options: Mapping[str, Any]
    members: int = 1
    """Lowered modules of the study in this tuner's pool, this one included; they share `trials_total`."""
    warm_start: Sequence[Path] = ()
    """Records folders of other sweeps, the nearest relative first."""
    limit_s: float | None = None
    """What is left to it of its run's time; None: no limit."""
