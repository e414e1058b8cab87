"""The rows of measurements.parquet: every repeat of a cell, warm-ups and what was set aside included, and its slots in
a final.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sweep.analysis.final_place import blocks_of_final
from sweep.analysis.outcome import CellOutcome
from sweep.planning.results.condition_numbers import number_in
from sweep.planning.results.final_result import FinalResult
from sweep.planning.results.measurement import Measurement

__all__ = ["final_rows", "measurement_rows", "pair_rows", "repeats_of"]

Row = dict[str, Any]


def repeats_of(measure: Measurement | None) -> list[list[float]]:
    """Seconds of the repeats that count, by block; none where nothing was measured."""
    return [list(block.run_secs) for block in measure.blocks_that_count if block.run_secs] if measure else []


def measurement_rows(outcome: CellOutcome) -> Iterator[Row]:
    """One a repeat, block by block: its warm-ups, its repeats; then the blocks that were set aside."""
    measure = outcome.result(Measurement) or Measurement()
    own = {"cell_id": outcome.cell.id, "cell_name": outcome.cell.name, **outcome.cell.axes}
    shared = {**own, "compared_with": None, "leader_seconds": None}
    rounds = [("repeat", block) for block in measure.blocks_that_count]
    aside = [("set aside", block) for block in measure.set_aside]
    for kind, block in (*rounds, *aside):
        common = {**shared, "t": number_in({**measure.conditions, **block.conditions}, "at_before")}
        warmup = {**common, "kind": "warm-up", "block": block.block, "tainted": False, "number": 1}
        for index, seconds in enumerate(block.warmup_secs):
            yield {**warmup, "repeat": index, "seconds": seconds}
        for index, seconds in enumerate(block.run_secs):
            yield {
                **common,
                "kind": kind,
                "block": block.block,
                "tainted": bool(block.tainted),
                "repeat": index,
                "seconds": seconds,
                "number": measure.number,
            }


def final_rows(outcome: CellOutcome, finals: Mapping[str, FinalResult]) -> Iterator[Row]:
    """The slots of the final that a cell has its place in; a block is a heat, or a round where there was one heat."""
    held = None if outcome.final is None else finals.get(outcome.final.final)
    own = [] if held is None else [one for one in held.timed if one.cell == outcome.cell.id]
    for one in own:
        beside = iter(one.leader_secs)
        for number, slots in enumerate(blocks_of_final(one)):
            for index, seconds in enumerate(slots):
                yield {
                    "cell_id": outcome.cell.id,
                    "cell_name": outcome.cell.name,
                    **outcome.cell.axes,
                    "kind": "final",
                    "compared_with": None,
                    "block": number,
                    "tainted": None,
                    "repeat": index,
                    "seconds": seconds,
                    "leader_seconds": next(beside, None),
                    "number": one.number,
                    "t": number_in(one.conditions, "at_before"),
                }


def pair_rows(outcome: CellOutcome, pairs: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """What was measured of a cell in turns with another, to compare the two; no latency of the tables is made of it."""
    own = outcome.cell.id
    for number, pair in enumerate(one for one in pairs if own in one["cells"]):
        for cell, other, block in zip(pair["cells"], reversed(pair["cells"]), pair["blocks"], strict=True):
            for index, seconds in enumerate(block["run_secs"] if cell == own else ()):
                yield {
                    "cell_id": own,
                    "cell_name": outcome.cell.name,
                    **outcome.cell.axes,
                    "kind": "compared",
                    "compared_with": other,
                    "block": number,
                    "tainted": bool(block["tainted"]),
                    "repeat": index,
                    "seconds": seconds,
                    "leader_seconds": None,
                    "number": block["number"],
                    "t": number_in(block["conditions"], "at_before"),
                }
