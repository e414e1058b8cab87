"""The requests of a pipeline of builds and measurements and their answers: a trial of one candidate, or a comparison
of several candidates of one workload.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from sweep.errors import SweepError
from sweep.toolchain.candidates.service import Arguments, CandidateSource
from sweep.toolchain.candidates.timing_figures import Timing

__all__ = ["ComparisonRequest", "CompletedComparison", "CompletedTrial", "Contender", "TrialRequest"]

T = TypeVar("T")
C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Contender(Generic[T]):
    """A candidate that is to be built, and what the caller knows it by."""

    subject: T
    source: CandidateSource
    args: Arguments | None = None
    """None: its build tells them."""
    lib: Path | None = None
    """Where it was built already; None: it is built."""


@dataclass(frozen=True, slots=True)
class TrialRequest(Generic[T]):
    """One candidate is to be timed on a device."""

    device: str
    candidate: Contender[T]
    timing: Timing
    build_timeout_s: float
    slow_s: Callable[[], float | None] = lambda: None
    """From which time on one call is enough; asked once the candidate is built, as the best may be better by then."""


@dataclass(frozen=True, slots=True)
class ComparisonRequest(Generic[C]):
    """Several candidates of one workload are to be timed on a device in turns."""

    device: str
    candidates: Sequence[Contender[C]]
    timing: Timing
    build_timeout_s: float


@dataclass(frozen=True, slots=True)
class CompletedTrial(Generic[T]):
    """What came of a trial: times, or the error."""

    request: TrialRequest[T]
    lib: Path
    """What was built; it is the caller's to keep or to remove."""
    build_s: float | None
    """None: it did not build."""
    run_secs: Sequence[float] | None = None
    measure_s: float | None = None
    error: SweepError | None = None

    @property
    def subject(self) -> T:
        """What the caller knows the candidate by."""
        return self.request.candidate.subject


@dataclass(frozen=True, slots=True)
class CompletedComparison(Generic[C]):
    """What came of a comparison: times of those that were built, or the error that left none."""

    request: ComparisonRequest[C]
    compared: Sequence[C] = ()
    """Subjects of those that took turns: the ones that did not build have dropped out."""
    run_secs: Sequence[Sequence[float]] = ()
    """Of each of these."""
    measure_s: float | None = None
    error: SweepError | None = None
