"""The overlay as CSV: a row a layer, and a longer table with what the choice is to each device."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from sweep.analysis.overlay.merged import same_devices
from sweep.analysis.overlay.metric import Judgement
from sweep.errors import RecordError
from sweep.plain_text import as_csv_cell

__all__ = ["DETAILS", "detail_rows", "reasons_in_words", "write_details", "write_overlay"]

DETAILS = (
    "layer",
    "workload",
    "weight",
    "config",
    "metric",
    "metric_per_device",
    "largest_regret",
    "configurations",
    "candidates",
    "device",
    "time_ms",
    "best_ms",
    "slowest_ms",
    "regret",
    "score",
    "reason",
)
"""Columns of the longer table; those before `device` are the same in each row of a layer."""
_REASONS_TOLD = 5

Row = dict[str, Any]


def write_overlay(layers: Sequence[Judgement], stream: TextIO) -> None:
    """Write `layer, best_<key>..., <key>..., metric, config`, a row a layer, times in milliseconds.

    best_<key>: theta. <key>: time of the chosen configuration. metric: M. Where nothing was chosen, these cells are
    empty; the row stays. Raises RecordError where keys would give two columns one name.
    """
    devices = same_devices([layer.times for layer in layers])
    header = ["layer", *(f"best_{key}" for key in devices), *devices, "metric", "config"]
    if len(set(header)) != len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise RecordError(f"the overlay's CSV would have more than one column {', '.join(twice)}: rename the device")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([as_csv_cell(name) for name in header])
    for layer in layers:
        chosen, best_ms = layer.chosen, [_number(value * 1e3) for value in layer.best_s]
        if chosen is None:
            writer.writerow([as_csv_cell(layer.times.layer), *best_ms, *("" for _ in devices), "", ""])
        else:
            times_ms = [_number(value * 1e3) for value in layer.times.seconds[chosen]]
            metric = _number(layer.metric[chosen])
            ends = as_csv_cell(layer.times.layer), as_csv_cell(layer.config)
            writer.writerow([ends[0], *best_ms, *times_ms, metric, ends[1]])


def write_details(layers: Sequence[Judgement], stream: TextIO) -> None:
    """Write DETAILS, a row for each layer and device."""
    writer = csv.DictWriter(stream, DETAILS, lineterminator="\n")
    writer.writeheader()
    rows = (row for layer in layers for row in detail_rows(layer))
    writer.writerows({name: as_csv_cell(value) for name, value in row.items()} for row in rows)


def detail_rows(layer: Judgement) -> Iterator[Row]:
    """A row a device. What is not known is None; `reason` says why, for a layer without a choice."""
    times, chosen = layer.times, layer.chosen
    shared: Row = {
        "layer": times.layer,
        "workload": times.workload,
        "weight": times.weight,
        "config": layer.config,
        "metric": None if chosen is None else float(layer.metric[chosen]),
        "metric_per_device": None if chosen is None else float(layer.metric_per_device[chosen]),
        "largest_regret": None if chosen is None else float(layer.largest[chosen]),
        "configurations": len(times.configurations),
        "candidates": layer.candidates,
    }
    for column, key in enumerate(times.devices):
        yield shared | {
            "device": key,
            "time_ms": None if chosen is None else float(times.seconds[chosen, column]) * 1e3,
            "best_ms": _known(layer.best_s[column] * 1e3),
            "slowest_ms": _known(layer.slowest_s[column] * 1e3),
            "regret": None if chosen is None else float(layer.regrets(chosen)[column]),
            "score": None if chosen is None else float(layer.scores(chosen)[column]),
            "reason": reasons_in_words(layer) if chosen is None else None,
        }


def reasons_in_words(layer: Judgement) -> str:
    """Why the configurations of a layer are out, the most frequent first."""
    reasons = layer.times.reasons().most_common()
    if not reasons:
        return "" if layer.times.configurations else "no configuration was measured"
    told = [f"{count:,} {' '.join(reason.split())}" for reason, count in reasons[:_REASONS_TOLD]]
    more = len(reasons) - len(told)
    return "; ".join([*told, f"and {more:,} other reasons"] if more else told)


def _number(value: float) -> str:
    known = _known(value)
    return "" if known is None else repr(known)


def _known(value: float) -> float | None:
    return None if value != value else float(value)
