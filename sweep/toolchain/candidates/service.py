"""The protocol that builds and times candidates: TVM's Builder and Runner in one. An engine provides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sweep.toolchain.compile_job import BUILD_CANDIDATE, CompileJob

__all__ = ["Arguments", "CandidateService", "CandidateSource", "NetworkOrder", "NetworkService", "scheduled_module"]

Arguments = list[dict[str, Any]]
"""`shape` and `dtype` of each argument of a candidate."""


@dataclass(frozen=True, slots=True)
class CandidateSource:
    """What a candidate is built from."""

    job: CompileJob
    """Builds it."""
    arguments: Mapping[str, Any]
    """What the job is given beside `target`, `linker` and `out_path`, which the service knows."""


@dataclass(frozen=True, slots=True)
class NetworkOrder:
    """How a whole network is built and timed while it is tuned."""

    lower_dir: str
    """Of its lowering, relative to the sweep directory."""
    measure: Mapping[str, Any]
    """Options of the measurement."""
    threads: int
    threshold: float | None
    """Largest difference from the expected output."""


def scheduled_module(module_json: str) -> CandidateSource:
    """A candidate whose schedule is carried out already: a serialised IRModule."""
    return CandidateSource(BUILD_CANDIDATE, {"module_json": module_json})


class CandidateService(Protocol):
    """Builds candidates for one device and times them there.

    Futures end in a result or raise an error of the tree: BuildFailed, MeasureFailed and MeasureTimeout are the
    candidate's own fault, `errors.LOST` and WorkerKilled are who builds or measures it, and anything else is nobody's.
    """

    @property
    def build_slots(self) -> int:
        """Builds at a time."""

    def expect(self, seconds: float) -> None:
        """Have the device keep itself ready for a candidate that comes within so many seconds; 0: none does."""

    def build(self, source: CandidateSource, lib: Path, timeout_s: float) -> Future[dict[str, Any]]:
        """Build a candidate into `lib`. The result has `build_s`, and `args` where the source does not tell them."""

    def measure(self, lib: Path, args: Arguments, options: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Time a candidate, with the options of `Timing.alone`; the result has `run_secs` and `seconds`."""

    def compare(
        self, candidates: Sequence[tuple[Path, Arguments]], options: Mapping[str, Any]
    ) -> Future[dict[str, Any]]:
        """Time candidates in turns, with the options of `Timing.in_turns`; the result has `run_secs`, a list for each,
        and `seconds`.
        """


class NetworkService(Protocol):
    """Builds whole networks for one device and times them there."""

    def time_network(self, order: NetworkOrder, records_dir: Path, folder: Path) -> Future[dict[str, Any]]:
        """Build a network with the records that there are, into a folder that is made, and time it.

        The result has `run_secs`. The future raises an error of the tree where the network is not built, is away from
        the expected output, or is lost with its builder or board. Who cancels it has the build ended.
        """
