"""The rows of measurements.parquet: every repeat of a cell, warm-ups and what was set aside included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.outcome import CellOutcome
from sweep.study.spec import AXES

__all__ = ["measurement_rows", "pair_rows", "repeats_of"]

Row = dict[str, Any]


def repeats_of(measure: Mapping[str, Any]) -> list[list[float]]:
    """Seconds of the repeats that count, by block, of a measure stage's result; none for an empty one."""
    return [list(block["run_secs"]) for block in _blocks(measure) if block.get("run_secs")]


def measurement_rows(outcome: CellOutcome) -> Iterator[Row]:
    """One a repeat, block by block: its warm-ups, its repeats; then the blocks that were set aside."""
    measure = outcome.stages.get("measure", {})
    usual = measure.get("conditions", {})
    axes = {axis: getattr(outcome.cell, axis) for axis in AXES}
    shared = {"cell_id": outcome.cell.id, "cell_name": outcome.cell.name, **axes, "compared_with": None}
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


def pair_rows(outcome: CellOutcome, pairs: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """What was measured of a cell in turns with another, to compare the two; no latency of the tables is made of it."""
    own = outcome.cell.id
    axes = {axis: getattr(outcome.cell, axis) for axis in AXES}
    for number, pair in enumerate(one for one in pairs if own in one["cells"]):
        for cell, other, block in zip(pair["cells"], reversed(pair["cells"]), pair["blocks"], strict=True):
            for index, seconds in enumerate(block["run_secs"] if cell == own else ()):
                yield {
                    "cell_id": own,
                    "cell_name": outcome.cell.name,
                    **axes,
                    "kind": "compared",
                    "compared_with": other,
                    "block": number,
                    "tainted": bool(block["tainted"]),
                    "repeat": index,
                    "seconds": seconds,
                    "number": block["number"],
                    "t": block["conditions"].get("at_before"),
                }


def _blocks(measure: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A measurement in one go is its only block."""
    return list(measure.get("blocks") or ([measure] if measure else []))
