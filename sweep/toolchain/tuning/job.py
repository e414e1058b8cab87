"""The request of a tune stage to a tuner. Plain data; no TVM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.toolchain.candidates.service import NetworkOrder
from sweep.toolchain.candidates.timing_figures import TUNER_TIMEOUT_S, Timing

__all__ = ["TuneJob", "TuningTask"]


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
    options: Mapping[str, Any]
    """The tuner's, as the study has them: its limits, and how its candidates are built and timed."""
    members: int = 1
    """Lowered modules of the study in this tuner's pool, this one included; they share `trials_total`."""
    warm_start: Sequence[Path] = ()
    """Records folders of other sweeps, the nearest relative first."""
    network: NetworkOrder | None = None
    """None: the network is not timed before its cell is."""
    limit_s: float | None = None
    """What is left to it of its run's time; None: no limit."""

    @property
    def timing(self) -> Timing:
        """How its candidates are timed."""
        options = self.options
        return Timing(
            number=int(options.get("number", 1)),
            repeat=int(options.get("repeat", 3)),
            min_repeat_ms=int(options.get("min_repeat_ms", 10)),
            timeout_s=float(options.get("runner_timeout_s", TUNER_TIMEOUT_S)),
        )

    @property
    def build_timeout_s(self) -> float:
        """How long the build of one candidate may take."""
        return float(self.options["builder_timeout_s"])
