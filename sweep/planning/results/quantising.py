"""What calibrating and quantising a network result in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.json_record import JsonRecord, many, seldom
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["CalibrateResult", "KeptLayers", "LayerError", "LayerErrorsResult", "QuantiseResult"]


@dataclass(frozen=True, slots=True)
class CalibrateResult(StageResult):
    """What a network's tensors were seen to hold; its folder has the table."""

    samples: int | None = None
    source: str = ""
    """The data set; `random` for made-up samples."""
    activations: int | None = None
    weights: int | None = None
    """Tensors in the table."""
    calibrate_s: float | None = None
    saved_table: str = seldom("")
    """Hash of the table that was read in place of running samples."""
    has_histograms: bool = seldom(True)

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(
            samples=stage.options.get("samples"),
            source="random",
            activations=draw.randrange(10, 500),
            calibrate_s=seconds,
        )

    @property
    def needed_files(self) -> Sequence[str]:
        return ("network.onnx", "ranges.json", *(("histograms.npz",) if self.has_histograms else ()))

    @property
    def shown_file(self) -> str:
        return "ranges.json"

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"samples": self.samples, "source": self.source}


@dataclass(frozen=True, slots=True)
class QuantiseResult(ImportResult):
    """A network in integers: a folder like an import's, whose expected output is that of the float network."""

    samples: int | None = None
    source: str = ""
    """As of its calibration."""
    quantised_nodes: int | None = None
    float_nodes: int | None = None
    """Operators that could be quantised and were kept."""
    kept_layers: tuple[str, ...] = seldom(())
    """Names of those with weights."""
    quantise_s: float | None = seldom()
    saved_table: str = seldom("")
    """As of its calibration."""

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        nodes = draw.randrange(4, 200)
        return cls(params_bytes=0, reference=True, source="random", quantised_nodes=nodes, quantise_s=seconds)


@dataclass(frozen=True, slots=True)
class LayerError(JsonRecord):
    """How far a layer of a quantised network is from the float one."""

    layer: str = ""
    operator: str = ""
    output: str = ""
    """The tensor that is compared."""
    place: int = 0
    """In the order of the network, from 0."""
    is_quantised: bool = True
    with_before_cosine_distance: float | None = None
    """Of its output where all before it is quantised too."""
    with_before_snr_db: float | None = None
    with_before_max_abs_diff: float | None = None
    alone_cosine_distance: float | None = None
    """Of its output where it alone is quantised; None where it stays in float32."""
    alone_snr_db: float | None = None
    alone_max_abs_diff: float | None = None
    alone_final_cosine_distance: float | None = None
    """Of the network's output where this layer alone is quantised."""
    alone_final_snr_db: float | None = None
    alone_final_max_abs_diff: float | None = None


@dataclass(frozen=True, slots=True)
class KeptLayers(JsonRecord):
    """What a network comes to with some layers in float32."""

    kept: tuple[str, ...] = ()
    cosine_distance: float | None = None
    """Of its output."""
    snr_db: float | None = None
    max_abs_diff: float | None = None


@dataclass(frozen=True, slots=True)
class LayerErrorsResult(StageResult):
    """What quantising costs a network layer by layer, and what it is worth to keep some in float32."""

    samples: int | None = None
    source: str = ""
    layers: tuple[LayerError, ...] = many(LayerError)
    """In the order of the network."""
    ranked: tuple[str, ...] = ()
    """Layers with weights, the one first whose quantisation alone takes the network's output furthest."""
    steps: tuple[KeptLayers, ...] = many(KeptLayers)
    """With none of these in float32, with the first, with the first two, and so on."""
    layer_errors_s: float | None = seldom()

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        return cls(samples=draw.randrange(1, 100), source="random", layer_errors_s=seconds)

    @property
    def needed_files(self) -> Sequence[str]:
        return ("layer_errors.json",)

    @property
    def shown_file(self) -> str:
        return "layer_errors.json"

    @property
    def key_figures(self) -> Mapping[str, Any]:
        return {"layers": len(self.layers)}
