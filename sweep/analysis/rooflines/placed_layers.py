"""Where the layers of a network stand under the roof of their device: what bounds each, and how near it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from sweep.analysis.formatting import as_ms, as_percent, plural
from sweep.analysis.rooflines.roof import Roof
from sweep.planning.results.roofline_results import LayerTimes, TimedLayer

__all__ = ["BY_COMPUTE", "placed", "roofline_row", "roofline_words"]

BY_COMPUTE = "compute"
_TRAFFIC = {"input traffic": "input_bytes", "weight traffic": "weight_bytes", "output traffic": "output_bytes"}

Row = Mapping[str, Any]


def placed(layer: TimedLayer, roof: Roof) -> dict[str, Any]:
    """A layer as a row: its work, its time, and its share of the roof; what is not known is null.

    The least time that it could take is that of its operations at the most operations a second, or of its traffic at
    the most bytes a second, whichever is longer; its share of the roof is that over its own time.
    """
    traffic = layer.input_bytes + layer.weight_bytes + layer.output_bytes
    row: dict[str, Any] = {
        "layer": layer.name,
        "count": layer.count,
        "operations": layer.operations,
        "input_bytes": layer.input_bytes,
        "weight_bytes": layer.weight_bytes,
        "output_bytes": layer.output_bytes,
        "intensity": None if layer.operations is None or not traffic else layer.operations / traffic,
        "error": layer.error,
    }
    seconds = median(layer.run_secs) if layer.run_secs else None
    compute_s = None if layer.operations is None else layer.operations / roof.operations.value
    traffic_s = traffic / roof.bandwidth_for(traffic)
    least_s = None if compute_s is None else max(compute_s, traffic_s)
    bound = None
    if compute_s is not None:
        largest = max(_TRAFFIC, key=lambda name: row[_TRAFFIC[name]])
        bound = BY_COMPUTE if compute_s >= traffic_s else largest
    return row | {
        "time_ms": None if seconds is None else seconds * 1e3,
        "time_ms_min": None if seconds is None else min(layer.run_secs) * 1e3,
        "time_ms_max": None if seconds is None else max(layer.run_secs) * 1e3,
        "least_ms": None if least_s is None else least_s * 1e3,
        "gflops": None if seconds is None or layer.operations is None else layer.operations / seconds / 1e9,
        "share_of_roof": None if seconds is None or least_s is None else least_s / seconds,
        "bound_by": bound,
    }


def roofline_row(cell: Row, times: LayerTimes, roof: Roof) -> dict[str, Any]:
    """A cell under its roof: its layers, those that take longest first, and what they come to together.

    cell: its row, for its name and its latency.
    """
    layers = [placed(layer, roof) for layer in times.layers]
    known = [row for row in layers if row["share_of_roof"] is not None]
    time_ms = sum(row["count"] * row["time_ms"] for row in known)
    least_ms = sum(row["count"] * row["least_ms"] for row in known)
    for row in layers:
        row["time_share"] = row["count"] * row["time_ms"] / time_ms if time_ms and row in known else None
    return {
        "cell_id": cell["cell_id"],
        "cell_name": cell["cell_name"],
        "model": cell["model"],
        "device": roof.device,
        "roof": roof.to_json(),
        "latency_ms": cell["latency_ms_median"],
        "layers_ms": time_ms,
        "least_ms": least_ms,
        "share_of_roof": least_ms / time_ms if time_ms else None,
        "layers_without_time": len(layers) - len(known),
        "bounds": _bounds(known, time_ms),
        "layers": sorted(layers, key=lambda row: -(row["time_share"] or 0.0)),
    }


def roofline_words(row: Row) -> str:
    """`net on D reaches 41 % of the roof; 63 % of its time is in 3 layers that are bound by weight traffic.`"""
    if row["share_of_roof"] is None:
        return f"{row['model']} on {row['device']}: no layer could be timed."
    told = f"{row['model']} on {row['device']} reaches {as_percent(row['share_of_roof'])} of the roof"
    most = max(row["bounds"], key=lambda bound: bound["time_share"])
    where = f"{as_percent(most['time_share'])} of its time is in {plural(most['layers'], 'layer')}"
    verb = "is" if most["layers"] == 1 else "are"
    told += f"; {where} that {verb} bound by {most['bound_by']}"
    told += f". Its layers take {as_ms(row['layers_ms'])} ms one by one, {as_ms(row['least_ms'])} ms at the roof"
    missing = row["layers_without_time"]
    unplaced = f"; {plural(missing, 'layer')} could not be placed" if missing else ""
    return f"{told}{unplaced}."


def _bounds(known: Sequence[Row], time_ms: float) -> list[dict[str, Any]]:
    """By what bounds layers: how many there are, and their share of the time."""
    found: dict[str, dict[str, Any]] = {}
    for row in known:
        bound = found.setdefault(row["bound_by"], {"bound_by": row["bound_by"], "layers": 0, "time_share": 0.0})
        bound["layers"] += 1
        bound["time_share"] += row["count"] * row["time_ms"] / time_ms
    return list(found.values())
