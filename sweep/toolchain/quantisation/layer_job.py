"""The job of the stage `layer_errors`, which runs in a compile worker."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from sweep.errors import QuantiseFailed
from sweep.files.atomic import replacing_folder
from sweep.toolchain.quantisation.calibration_samples import samples_for
from sweep.toolchain.quantisation.layer_distances import distances, kept_step_by_step
from sweep.toolchain.quantisation.qdq_network import HEAVY
from sweep.toolchain.quantisation.range_table import NETWORK, read_table

__all__ = ["BATCHES", "LAYER_ERRORS", "MOST_KEPT", "compare_layers"]

LAYER_ERRORS = "layer_errors.json"
BATCHES = 8
"""Compared on: distances are means over all numbers of a tensor, and settle soon."""
MOST_KEPT = 6


def compare_layers(
    options: Mapping[str, Any], hints: Mapping[str, Any], calibrate_dir: str, out_dir: str
) -> dict[str, Any]:
    """Compare the layers of a quantised network with those of the float one. Raises QuantiseFailed."""
    import onnx

    start = time.perf_counter()
    with replacing_folder(Path(out_dir)) as folder:
        table_dir = Path(calibrate_dir)
        model, table = onnx.load(str(table_dir / NETWORK)), read_table(table_dir)
        samples = samples_for(model, options, hints, is_calibration=False)
        batches = list(islice(iter(samples), BATCHES))
        if not batches:
            raise QuantiseFailed(f"{samples.source} has no sample to compare layers on")
        rows = distances(model, table, options, batches)
        ranked = _ranked(rows)
        steps = kept_step_by_step(model, table, options, batches, ranked, MOST_KEPT)
        told = {
            "samples": sum(len(next(iter(batch.values()))) for batch in batches),
            "source": samples.source,
            "layers": rows,
            "ranked": ranked,
            "steps": steps,
        }
        (folder / LAYER_ERRORS).write_text(json.dumps({"options": dict(options), **told}, indent=1), encoding="utf-8")
    return {"dir": "/".join(Path(out_dir).parts[-3:]), **told, "layer_errors_s": time.perf_counter() - start}


def _ranked(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Layers with weights, the costliest first."""
    heavy = [row for row in rows if row["operator"] in HEAVY and row["is_quantised"]]
    return [
        str(row["layer"]) for row in sorted(heavy, key=lambda row: (-row["alone_final_cosine_distance"], row["place"]))
    ]
