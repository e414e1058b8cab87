"""What an overlay's stages result in: times of candidates, blocks of networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from sweep.files.typed_json import PositiveFloat
from sweep.planning.results.json_record import JsonRecord, many, seldom
from sweep.planning.results.measurement import Measurement
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["CandidateTimes", "NetworkBlocks", "TimedCandidate"]


@dataclass(frozen=True, slots=True)
class TimedCandidate(JsonRecord):
    """A schedule of one workload that was timed on a device, or why it could not be."""

    trace_hash: str = ""
    run_secs: Sequence[PositiveFloat] | None = None
    error_class: str | None = seldom()
    error: str | None = seldom()
    build_s: float | None = None
    measure_s: float | None = None


@dataclass(frozen=True, slots=True)
class CandidateTimes(StageResult):
    """What an overlay has measured of one workload on a device."""

    candidates: tuple[TimedCandidate, ...] = many(TimedCandidate)
    """Of a comparison, those that took turns: what did not build has dropped out."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        timed = [
            TimedCandidate(trace_hash, run_secs=(10 ** draw.uniform(-5, -3),))
            for trace_hash in stage.options["candidates"]
        ]
        return cls(candidates=tuple(timed))

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {
            "candidates": len(self.candidates),
            "failed": sum(each.error_class is not None for each in self.candidates),
        }


@dataclass(frozen=True, slots=True)
class NetworkBlocks(StageResult):
    """Two builds of a network that took turns on a device: one of an overlay's merged log, one of its own best."""

    merged: tuple[Measurement, ...] = many(Measurement)
    """A block each, in the order in which they were taken."""
    own: tuple[Measurement, ...] = many(Measurement)
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why a build has no more blocks, by its name here."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        def blocks(role: str) -> tuple[Measurement, ...]:
            return tuple([Measurement.fake(stage, seconds, draw) for _ in range(stage.options["rounds"].get(role, 0))])

        return cls(merged=blocks("merged"), own=blocks("own"))

    def replayed_from(self, source: str) -> Self:
        merged = tuple([block.replayed_from(source) for block in self.merged])
        return replace(self, merged=merged, own=tuple([block.replayed_from(source) for block in self.own]))
