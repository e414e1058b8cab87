"""What calibrating and quantising a network result in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from sweep.planning.results.compiling import ImportResult
from sweep.planning.results.json_record import seldom
from sweep.planning.results.stage_result import StageResult

if TYPE_CHECKING:
    from random import Random

    from sweep.planning.stage import Stage

__all__ = ["CalibrateResult", "QuantiseResult"]


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
        return ("network.onnx", "ranges.json", "histograms.npz")

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
    quantise_s: float | None = seldom()

    @classmethod
    def fake(cls, stage: Stage, seconds: float, draw: Random) -> Self:
        nodes = draw.randrange(4, 200)
        return cls(params_bytes=0, reference=True, source="random", quantised_nodes=nodes, quantise_s=seconds)
