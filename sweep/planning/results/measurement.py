"""What measuring a network on a device results in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from sweep.files.typed_json import PositiveFloat
from sweep.planning.results.disturbance import Disturbance
from sweep.planning.results.json_record import JsonRecord, many, seldom
from sweep.planning.results.stage_result import StageResult
from sweep.study.profile_options import MEMORY

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["MeasuredBlock", "Measurement"]


@dataclass(frozen=True, slots=True)
class MeasuredBlock(JsonRecord):
    """Repeats that were taken in one go."""

    block: int = 0
    """Counts the blocks of the measurement from 0, in the order in which they were taken."""
    run_secs: Sequence[PositiveFloat] = ()
    warmup_secs: Sequence[float] = seldom(())
    stopped_by: str | None = seldom()
    reference_before_s: Sequence[float] = ()
    """Times of the sentinel kernel right before, and right after."""
    reference_after_s: Sequence[float] = ()
    tainted: tuple[Disturbance, ...] = many(Disturbance)
    """Why it is not to be trusted."""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """Those that differ from the measurement's."""


_REPEATS_FAKED = 3


@dataclass(frozen=True, slots=True)
class Measurement(StageResult):
    """Repeats of a network on a device, with their conditions."""

    run_secs: Sequence[PositiveFloat] = ()
    """Of all blocks that count; each a mean over `number` calls."""
    number: int | None = None
    warmup_secs: Sequence[float] = ()
    stopped_by: str | None = None
    """Why there are no more repeats."""
    reference_before_s: Sequence[float] = ()
    """Times of the sentinel kernel right before each block, and right after."""
    reference_after_s: Sequence[float] = ()
    reference_best_s: float | None = None
    """The least median of such times on the device so far."""
    reference_usual_s: float | None = seldom()
    """What the kernel took there as a rule, by earlier runs; None while too little was known."""
    tainted: tuple[Disturbance, ...] = many(Disturbance)
    """Why it is not to be trusted; empty for a clean one."""
    block: int = 0
    """Index of the first block that counts."""
    blocks: tuple[MeasuredBlock, ...] = many(MeasuredBlock, is_seldom=True)
    """The blocks that count, where it was not measured in one go."""
    set_aside: tuple[MeasuredBlock, ...] = many(MeasuredBlock)
    """Disturbed blocks, which do not count."""
    output_max_abs_diff: float | None = None
    output_cosine_distance: float | None = None
    conditions: Mapping[str, Any] = field(default_factory=dict)
    peak_memory_bytes: int | None = None
    peak_memory_method: str | None = seldom()
    """How that was read; None where latency is observed, which has it from VmHWM beside."""
    runtime_version: str | None = None
    device_s: float | None = seldom()
    """How long it had the device, in all its turns."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        if stage.options.get("variable") == MEMORY:
            return cls(
                output_max_abs_diff=0.0,
                output_cosine_distance=0.0,
                conditions={"simulated": True},
                peak_memory_bytes=draw.randrange(10**6, 10**8),
                peak_memory_method="simulated",
                runtime_version="simulated",
            )
        median_s = 10 ** draw.uniform(-3, -1)
        repeats = max(_REPEATS_FAKED, int(stage.options["measure"].get("repeat", _REPEATS_FAKED)))
        return cls(
            run_secs=tuple([median_s * draw.lognormvariate(0, 0.02) for _ in range(repeats)]),
            number=1,
            warmup_secs=(median_s,),
            stopped_by="repeats",
            output_max_abs_diff=0.0,
            output_cosine_distance=0.0,
            conditions={"simulated": True},
            runtime_version="simulated",
        )

    def replayed_from(self, source: str) -> Self:
        return replace(self, conditions={**self.conditions, "replayed_from": source})

    @property
    def disturbances(self) -> Sequence[str]:
        return [str(each) for each in self.tainted]

    @property
    def computed_in(self) -> str | None:
        """The number type that its runtime chose to compute in, by numpy's name; None where it tells none."""
        return self.conditions.get("computed_in")

    @property
    def median_s(self) -> float | None:
        """The median of its repeats; None without any."""
        from statistics import median  # takes 10 ms to load, which planning need not wait for

        return median(self.run_secs) if self.run_secs else None

    @property
    def blocks_that_count(self) -> tuple[MeasuredBlock, ...]:
        """Its blocks; a measurement in one go is its only one, and one of nothing has none."""
        if self.blocks or not self.run_secs:
            return self.blocks
        return (
            MeasuredBlock(
                self.block,
                self.run_secs,
                self.warmup_secs,
                self.stopped_by,
                self.reference_before_s,
                self.reference_after_s,
                self.tainted,
                self.conditions,
            ),
        )
