"""The rows of measurements.parquet: every repeat of a cell, warm-ups and what was set aside included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.study.spec import AXES

__all__ = ["measurement_rows", "repeats_of"]

Row = dict[str, Any]


def repeats_of(measure: Mapping[str, Any]) -> list[list[float]]:
    """Seconds of the repeats that count, by block, of a measure stage's result; none for an empty one."""
    return [list(block["run_secs"]) for block in _blocks(measure) if block.get("run_secs")]


def measurement_rows(outcome: CellOutcome) -> Iterator[Row]:
    """One a repeat, block by block: its warm-ups, its repeats; then the blocks that were set aside."""
    measure = outcome.stages.get("measure", {})
    usual = measure.get("conditions", {})
    axes = {axis: getattr(outcome.cell, axis) for axis in AXES}
    shared = {"cell_id": outcome.cell.id, "cell_name": outcome.cell.name, **axes}
    rounds = [{**block, "kind": "repeat"} for block in _blocks(measure)]
    aside = [{**block, "kind": "set aside"} for block in measure.get("set_aside", ())]
    for block in (*rounds, *aside):
        place = {**shared, "t": {**usual, **block.get("conditions", {})}.get("at_before")}
        warmup = {**place, "kind": "warm-up", "block": block.get("block", 0), "tainted": False, "number": 1}
        for index, seconds in enumerate(block.get("warmup_secs") or ()):
            yield {**warmup, "repeat": index, "seconds": seconds}
        for index, seconds in enumerate(block.get("run_secs") or ()):
            yield {
                **place,
                "kind": block["kind"],
                "block": block.get("block", 0),
                "tainted": bool(block.get("tainted")),
                "repeat": index,
                "seconds": seconds,
                "number": measure.get("number"),
            }


def _blocks(measure: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A measurement in one go is its only block."""
    return list(measure.get("blocks") or ([measure] if measure else []))
