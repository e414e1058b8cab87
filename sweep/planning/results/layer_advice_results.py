"""What the latencies of a network's layers, and the advice that rests on them, result in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from sweep.files.typed_json import PositiveFloat
from sweep.planning.results.json_record import JsonRecord, many, seldom
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["AdvisedStep", "LayerAdvice", "LayerLatencies", "PlacedLayer", "TimedKernel"]


@dataclass(frozen=True, slots=True)
class TimedKernel(JsonRecord):
    """A kernel of a build, timed alone on the device."""

    kernel: str = ""
    calls: int = 1
    """Of the network."""
    run_secs: Sequence[PositiveFloat] = ()
    """Of one call."""
    error: str | None = seldom()
    """Why there are none."""


@dataclass(frozen=True, slots=True)
class PlacedLayer(JsonRecord):
    """A layer, and what computes it."""

    layer: str = ""
    operator: str = ""
    kernels: tuple[str, ...] = ()
    """One for each call; none where it was not found in the build."""
    shares_with: tuple[str, ...] = ()
    """Layers that the same calls compute."""


@dataclass(frozen=True, slots=True)
class LayerLatencies(StageResult):
    """The kernels of a cell's build on its device, and which layers they compute."""

    device: str = ""
    kernels: tuple[TimedKernel, ...] = many(TimedKernel)
    layers: tuple[PlacedLayer, ...] = many(PlacedLayer)
    """In the order of the network."""
    layer_latencies_s: float | None = seldom()

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        kernel = TimedKernel("simulated", 1, (10 ** draw.uniform(-5, -3),))
        return cls(device=str(stage.options.get("device", "")), kernels=(kernel,), layer_latencies_s=seconds)

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"kernels": len(self.kernels)}

    def seconds(self) -> dict[str, float]:
        """Of each layer that was found: the medians of its calls, together."""
        of_kernel = {one.kernel: median(one.run_secs) for one in self.kernels if one.run_secs}
        return {
            one.layer: sum(of_kernel[kernel] for kernel in one.kernels)
            for one in self.layers
            if one.kernels and all(kernel in of_kernel for kernel in one.kernels)
        }

    @property
    def total_s(self) -> float:
        """Of all calls, one by one."""
        return sum(one.calls * median(one.run_secs) for one in self.kernels if one.run_secs)


@dataclass(frozen=True, slots=True)
class AdvisedStep(JsonRecord):
    """What a network comes to with some layers in float32."""

    kept: tuple[str, ...] = ()
    cosine_distance: float | None = None
    """Of its output, on the host, in floats between roundings."""
    snr_db: float | None = None
    max_abs_diff: float | None = None
    added_s: float | None = None
    """What these layers take longer in float32 than quantised, by their kernels alone."""


@dataclass(frozen=True, slots=True)
class LayerAdvice(StageResult):
    """Which layers to keep in float32, by what they gain for what they cost on a device."""

    ranked: tuple[str, ...] = ()
    """The first one gains most of the network's distance for the time that it costs."""
    steps: tuple[AdvisedStep, ...] = many(AdvisedStep)
    """With none of these in float32, with the first, with the first two, and so on."""
    float_s: Mapping[str, float] = seldom(default=None)
    """Of each layer that was found in the float32 build."""
    quantised_s: Mapping[str, float] = seldom(default=None)
    shares: Mapping[str, Sequence[str]] = seldom(default=None)
    """Layers that a layer shares its kernel with, in either build."""
    float_total_s: float | None = None
    """Of all kernels of the build, one by one."""
    quantised_total_s: float | None = None
    layer_advice_s: float | None = seldom()

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(float_total_s=10 ** draw.uniform(-4, -2), layer_advice_s=seconds)

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"layers": len(self.ranked)}
