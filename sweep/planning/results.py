"""What each kind of stage results in, as a type.

A result is written to the ledger as JSON and read back from it (`sweep.planning.json_record`), also where an older or
newer version has written it. Free-form JSON stays where a board has its own words: conditions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sweep.errors import PlanError
from sweep.files.sweep_dir import network_file
from sweep.planning.disturbance import Disturbance
from sweep.planning.json_record import JsonRecord, many, seldom

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = [
    "BuildResult",
    "CandidateTimes",
    "ImportResult",
    "LowerResult",
    "LoweredTask",
    "MeasuredBlock",
    "Measurement",
    "NetworkBlocks",
    "StageResult",
    "TimedCandidate",
    "TuneResult",
    "TunedTask",
    "input_of",
]

R = TypeVar("R", bound="StageResult")


@dataclass(frozen=True, slots=True)
class StageResult(JsonRecord):
    """What a stage has come to. A kind of stage has a subclass of its own; the plain one tells a folder alone."""

    dir: str | None = seldom(kw_only=True)
    """Folder of its files, relative to the sweep directory; None where it leaves none of its own."""
    is_cut_short: bool = seldom(False, kw_only=True)
    """Whether it ended for want of time, with what it had: another run may go on."""

    @classmethod
    def of_job(cls, payload: Mapping[str, Any]) -> Self:
        """The result that a worker reports. Raises PlanError for a key that would be lost: a field is missing here."""
        if unknown := cls.unknown_keys(payload):
            raise PlanError(f"{cls.__name__} has no field for what the stage reports: {', '.join(unknown)}")
        return cls.from_json(payload)

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        """A plausible result of a stage that nobody performed. `draw`: seeded with the stage, for what varies."""
        return cls()

    def replayed_from(self, source: str) -> Self:
        """The same, told once more by the recording `source`."""
        return self

    @property
    def disturbances(self) -> Sequence[str]:
        """Why it is not to be trusted, in words; empty for a sound one."""
        return ()

    @property
    def key_figures(self) -> Mapping[str, Any]:
        """What a log tells of it."""
        return {}

    @property
    def files_dir(self) -> str | None:
        """Where a person finds what it has left, relative to the sweep directory."""
        return self.dir

    @property
    def shown_file(self) -> str:
        """Of its files, the one to look at; empty for the folder of them."""
        return ""

    def folder(self) -> str:
        """Its `dir`. Raises PlanError where it has left no files."""
        if self.dir is None:
            raise PlanError(f"{type(self).__name__} has no folder of files")
        return self.dir


@dataclass(frozen=True, slots=True)
class ImportResult(StageResult):
    """A network that was read."""

    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`shape` and `dtype` by name."""
    outputs: Sequence[Mapping[str, Any]] = ()
    """`name`, `shape` and `dtype` of each."""
    params_bytes: int | None = None
    operators: Mapping[str, int] = field(default_factory=dict)
    """How often each occurs."""
    formats: tuple[str, ...] = seldom(("onnx",))
    """The forms in which its folder has the network for other runtimes, each in `sweep_dir.network_file`."""
    reference: bool = False
    """Whether its folder holds the output that others are compared with."""
    reference_error: str | None = None
    """Why it does not."""
    import_s: float | None = None

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(params_bytes=0, reference=True, import_s=seconds)

    @property
    def shown_file(self) -> str:
        """The network in a form for other runtimes; TVM's module where there is none."""
        return next(map(network_file, self.formats), "module.json")


@dataclass(frozen=True, slots=True)
class LoweredTask(JsonRecord):
    """A tuning task of a lowered network."""

    workload: str = ""
    """Hash of the tensor program."""
    name: str = ""
    weight: int = 1
    """How often the network has it."""
    trivial: bool = False
    """Whether there is nothing to decide in it."""
    family: str = ""
    """Of tasks around the same heavy block; empty in what older versions wrote."""

    @property
    def relatives(self) -> str:
        """Its family, which is itself where none is told."""
        return self.family or self.workload


@dataclass(frozen=True, slots=True)
class LowerResult(StageResult):
    """A network that was lowered to tensor programs."""

    functions: int | None = None
    tasks: tuple[LoweredTask, ...] = many(LoweredTask)
    target_json: str | None = None
    """The target as TVM resolved it."""
    lower_s: float | None = None

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        workload = hashlib.sha256(stage.id.encode()).hexdigest()[:16]
        tasks = (LoweredTask(workload, "simulated", family=workload),)
        return cls(functions=1, tasks=tasks, target_json="{}", lower_s=seconds)

    @property
    def shown_file(self) -> str:
        return "module.json"


@dataclass(frozen=True, slots=True)
class TunedTask(JsonRecord):
    """A task as tuning has left it."""

    workload: str = ""
    name: str = ""
    weight: int = 1
    trivial: bool | None = None
    flops: float | None = None
    """Floating-point operations of one call."""
    trials: int = 0
    """In all runs of the sweep."""
    valid: int = 0
    best_s: float | None = None
    """Of the schedule that the build takes; None while no trial is valid."""
    screening_s: float | None = None
    """The least time among the trials, before the best ones were measured again."""
    gap: float | None = None
    """Share by which the second measurement of the best was longer."""
    near_here: int | None = None
    """Trials until one was near the best."""
    near_elsewhere: int | None = None
    """The same in the sweep that a warm start comes from."""
    reused: bool | None = None
    """Whether all of it was tuned before, or for another network."""
    failed: Mapping[str, int] = field(default_factory=dict)
    """Trials by error class."""


@dataclass(frozen=True, slots=True)
class TuneResult(StageResult):
    """What tuning a lowered network has come to. Trials and seconds are those booked on it, not its whole pool's."""

    is_cut_short: bool = False
    records_dir: str = ""
    """Of the pool, relative to the sweep directory."""
    trials: int | None = None
    valid: int | None = None
    failed: Mapping[str, int] | None = None
    """Trials by error class."""
    tasks: tuple[TunedTask, ...] = many(TunedTask)
    naive_trials: int | None = seldom()
    """Trials that tuning this network alone would have taken."""
    warm_started: int | None = seldom()
    """Trials whose schedules other sweeps gave."""
    search_s: float | None = seldom()
    build_s: float | None = seldom()
    measure_s: float | None = seldom()
    validate_s: float | None = seldom()
    tuning_s: float | None = None
    """From its start to its end; the others are parts, of several networks side by side."""
    utilisation: Mapping[str, float] | None = seldom()
    """Share of the time in which search, builders and device worked."""
    curve: Sequence[Sequence[float]] = ()
    """Trial of the pool, seconds, and the latency that was estimated then, in seconds."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(trials=64, valid=64, failed={}, tuning_s=seconds)

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"trials": self.trials, "valid": self.valid}

    @property
    def files_dir(self) -> str | None:
        return self.records_dir or None

    @property
    def has_tried_nothing(self) -> bool:
        """Whether there is no schedule at all: built with that, a cell would be an untuned one by another name."""
        return bool(self.tasks) and not any(task.valid for task in self.tasks)


@dataclass(frozen=True, slots=True)
class BuildResult(StageResult):
    """A library."""

    lib: str = ""
    artifact_bytes: int | None = None
    build_s: float | None = None
    target_json: str | None = None
    """The target as TVM resolved it."""
    tuned_tasks: int | None = seldom()
    untuned_tasks: int | None = seldom()
    tvm_version: str | None = seldom()

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(artifact_bytes=draw.randrange(10**5, 10**7), build_s=seconds, target_json="{}")

    @property
    def shown_file(self) -> str:
        return "lib.so"

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"artifact_bytes": self.artifact_bytes}


@dataclass(frozen=True, slots=True)
class MeasuredBlock(JsonRecord):
    """Repeats that were taken in one go."""

    block: int = 0
    """Counts the blocks of the measurement from 0, in the order in which they were taken."""
    run_secs: Sequence[float] = ()
    warmup_secs: Sequence[float] = seldom(())
    stopped_by: str | None = seldom()
    reference_before_s: Sequence[float] = ()
    """Times of the sentinel kernel right before, and right after."""
    reference_after_s: Sequence[float] = ()
    tainted: tuple[Disturbance, ...] = many(Disturbance)
    """Why it is not to be trusted."""
    conditions: Mapping[str, Any] = field(default_factory=dict)
    """Those that differ from the measurement's."""


@dataclass(frozen=True, slots=True)
class Measurement(StageResult):
    """Repeats of a network on a device, with their conditions."""

    run_secs: Sequence[float] = ()
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
    runtime_version: str | None = None
    device_s: float | None = seldom()
    """How long it had the device, in all its turns."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
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


@dataclass(frozen=True, slots=True)
class TimedCandidate(JsonRecord):
    """A schedule of one workload that was timed on a device, or why it could not be."""

    trace_hash: str = ""
    run_secs: Sequence[float] | None = None
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


_REPEATS_FAKED = 3


def input_of(inputs: Mapping[str, StageResult], role: str, of: type[R]) -> R:
    """The result that a stage was given for a role. Raises PlanError where there is none of this type."""
    result = inputs.get(role)
    if not isinstance(result, of):
        given = "none" if result is None else type(result).__name__
        raise PlanError(f"a stage needs a {role}, as {of.__name__}, and was given {given}")
    return result
