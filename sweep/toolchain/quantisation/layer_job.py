"""The job of the stage `layer_errors`, which runs in a compile worker."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sweep.errors import QuantiseFailed
from sweep.files.atomic import replacing_folder
from sweep.toolchain.quantisation.calibration_samples import Repeated, samples_for
from sweep.toolchain.quantisation.layer_distances import distances, kept_step_by_step
from sweep.toolchain.quantisation.qdq_network import HEAVY
from sweep.toolchain.quantisation.range_table import NETWORK, RangeTable, read_table

__all__ = ["LAYER_ERRORS", "ComparedNetwork", "compare_layers", "comparing"]

LAYER_ERRORS = "layer_errors.json"
_BATCHES = 8
"""Compared on: distances are means over all numbers of a tensor, and settle soon."""
_MOST_KEPT = 6


@dataclass(frozen=True, slots=True)
class ComparedNetwork:
    """A network as floats, the ranges of its tensors, and what both forms of it are run on."""

    model: Any
    table: RangeTable
    batches: Sequence[Mapping[str, Any]]
    repeated: Repeated | None
    """What the last of them is filled with."""
    samples: int
    """In all, each once."""
    source: str
    """Of the samples, in words."""

    def distances(self, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Of its layers from themselves as floats."""
        return distances(self.model, self.table, options, self.batches, self.repeated)

    def kept_step_by_step(self, options: Mapping[str, Any], ranked: Sequence[str]) -> list[dict[str, Any]]:
        """How far it is quantised from itself as floats, with the first of these layers kept, one after another."""
        return kept_step_by_step(self.model, self.table, options, self.batches, ranked, _MOST_KEPT, self.repeated)


def compare_layers(
    options: Mapping[str, Any], hints: Mapping[str, Any], calibrate_dir: str, out_dir: str
) -> dict[str, Any]:
    """Compare the layers of a quantised network with those of the float one. Raises QuantiseFailed."""
    start = time.perf_counter()
    with comparing(options, hints, calibrate_dir, out_dir) as (folder, network):
        rows = network.distances(options)
        ranked = _ranked(rows)
        told = {
            "samples": network.samples,
            "source": network.source,
            "layers": rows,
            "ranked": ranked,
            "steps": network.kept_step_by_step(options, ranked),
        }
        (folder / LAYER_ERRORS).write_text(json.dumps({"options": dict(options), **told}, indent=1), encoding="utf-8")
    return {"dir": "/".join(Path(out_dir).parts[-3:]), **told, "layer_errors_s": time.perf_counter() - start}


@contextmanager
def comparing(
    options: Mapping[str, Any], hints: Mapping[str, Any], calibrate_dir: str, out_dir: str
) -> Iterator[tuple[Path, ComparedNetwork]]:
    """The folder of a stage that compares layers of a calibrated network, and what it compares. Raises QuantiseFailed:
    there are no samples.
    """
    import onnx

    with replacing_folder(Path(out_dir)) as folder:
        table_dir = Path(calibrate_dir)
        model, table = onnx.load(str(table_dir / NETWORK)), read_table(table_dir)
        samples = samples_for(model, options, hints, is_calibration=False)
        batches = list(islice(iter(samples), _BATCHES))
        if not batches:
            raise QuantiseFailed(f"{samples.source} has no sample to compare layers on")
        count = min(samples.samples, len(batches) * samples.batch)
        repeated = samples.repeated if count == samples.samples else None  # else the last batch is not among them
        yield folder, ComparedNetwork(model, table, batches, repeated, count, samples.source)


def _ranked(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Layers with weights, the costliest first."""
    heavy = [row for row in rows if row["operator"] in HEAVY and row["is_quantised"]]
    return [
        str(row["layer"]) for row in sorted(heavy, key=lambda row: (-row["alone_final_cosine_distance"], row["place"]))
    ]
