"""What the stages of a roofline result in: the most that a device can do, and the times of a network's layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from sweep.files.typed_json import PositiveFloat
from sweep.planning.results.json_record import JsonRecord, many, seldom
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["COMPUTE", "STREAM", "DeviceRoof", "LayerTimes", "RoofKernel", "TimedLayer"]

COMPUTE, STREAM = "compute", "stream"


@dataclass(frozen=True, slots=True)
class RoofKernel(JsonRecord):
    """A kernel that does nothing but arithmetic, or nothing but to move memory."""

    name: str = ""
    kind: str = COMPUTE
    work: float = 0.0
    """Of a call: operations, or bytes read and written."""
    footprint_bytes: int = 0
    run_secs: Sequence[PositiveFloat] = ()


@dataclass(frozen=True, slots=True)
class DeviceRoof(StageResult):
    """The most that was seen of a device, by kernels that were made for it."""

    device: str = ""
    threads: int = 1
    kernels: tuple[RoofKernel, ...] = many(RoofKernel)
    conditions: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        slow = draw.uniform(1, 2)
        kernels = (
            RoofKernel("sums", COMPUTE, 1e6, 1 << 12, (1e-5 * slow, 1.1e-5 * slow)),
            RoofKernel("triad", STREAM, 1e8, 10**8, (1e-2 * slow, 1.1e-2 * slow)),
        )
        return cls(device=str(stage.options.get("device", "")), kernels=kernels, conditions={"simulated": True})


@dataclass(frozen=True, slots=True)
class TimedLayer(JsonRecord):
    """A function of a built network, timed alone."""

    name: str = ""
    count: int = 1
    """How often the network calls it."""
    operations: int | None = None
    """Of one call, twice the multiply-accumulates; None where they cannot be counted."""
    input_bytes: int = 0
    weight_bytes: int = 0
    output_bytes: int = 0
    run_secs: Sequence[PositiveFloat] = ()
    """Of one call."""
    error: str | None = seldom()
    """Why there are none."""


@dataclass(frozen=True, slots=True)
class LayerTimes(StageResult):
    """The layers of a cell's library on its device."""

    device: str = ""
    cell: str = ""
    """Its id."""
    layers: tuple[TimedLayer, ...] = many(TimedLayer)

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        layer = TimedLayer("simulated", 1, 10**6, 10**4, 10**4, 10**4, (10 ** draw.uniform(-5, -3),))
        return cls(
            device=str(stage.options.get("device", "")), cell=str(stage.options.get("cell", "")), layers=(layer,)
        )
