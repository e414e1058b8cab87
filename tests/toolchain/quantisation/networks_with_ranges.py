"""Small float networks with the ranges of their tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sweep.toolchain.quantisation.calibration_samples import RandomSamples
from sweep.toolchain.quantisation.prepared_network import prepared
from sweep.toolchain.quantisation.range_table import RangeTable, observe

__all__ = ["Network", "calibrated", "options"]

Network = tuple[Any, RangeTable]


def calibrated(path: Path, samples: int = 24) -> Network:
    """The network of a file, ready to be quantised."""
    model = prepared(path)
    seen = RandomSamples(model, {"samples": samples, "seed": 0}, {})
    return model, observe(model, seen, seen.samples, seen.source)


def options(strategy: str = "symmetry_max", per: str = "channel", **more: Any) -> dict[str, Any]:
    """Of a precision."""
    return {"strategy": strategy, "per": per, "calibrate": "minmax", **more}
