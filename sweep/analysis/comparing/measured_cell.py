"""A measured cell as comparisons take it: its repeats by block, with the time and place of each. Knows no files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from sweep.analysis.outcome import MEASURED
from sweep.analysis.rows.bounds import EXACT, UPPER, Reading, bound_of_row
from sweep.analysis.rows.duels import how_held
from sweep.analysis.rows.unchecked import is_unchecked
from sweep.errors import StudyError
from sweep.planning.results.final_result import IN_TURNS

__all__ = ["COMPARABLE", "Block", "MeasuredCell", "PairedBlocks"]

Row = Mapping[str, Any]
COMPARABLE = ("repeat", "final")
"""Kinds of rows of measurements that a cell is compared by."""


@dataclass(frozen=True, slots=True)
class Block:
    """Repeats that were taken in one go."""

    run_secs: tuple[float, ...]
    t: float | None
    """Unix seconds at its beginning; None where that is not known."""


@dataclass(frozen=True, slots=True)
class MeasuredCell:
    """A cell with the repeats of its measurement."""

    cell_id: str
    name: str
    blocks: tuple[Block, ...]
    device: str
    host: str | None
    """The machine that measured it, with its CPU; None where it did not say."""
    is_stable: bool | None
    kernel_ms: float | None
    """Median of the sentinel kernel around its repeats."""
    disturbed: str | None = None
    """What disturbed its repeats."""
    bound: str | None = EXACT
    """What its repeats are: exact, upper where it can only have been slowed, None where they cannot be read."""
    unchecked: str | None = None
    """Why nothing was compared with its outputs, where nothing was: then its times are no claim."""
    final: str | None = None
    """Id of the final that holds for it."""
    heats: tuple[tuple[float, ...], ...] = ()
    """Its slots in each heat of a final, two a round; where all was loaded once, in each round. Seconds, or over those
    of the leader that ran beside it.
    """
    final_held: str = IN_TURNS
    """How that final was held."""
    is_bounded_by_final: bool = False
    """Whether its slots tell more of what it takes at most than its repeats, all of which something slowed; `blocks`
    are then these.
    """

    @classmethod
    def of(cls, row: Row, repeats: Iterable[Row]) -> MeasuredCell:
        """From its row of results and its rows of measurements. Raises StudyError when it has no measurement."""
        own = [repeat for repeat in repeats if repeat["cell_id"] == row["cell_id"]]
        found, slots = (_by_block(own, kind) for kind in COMPARABLE)
        if row["status"] not in MEASURED or not found:
            reason = f"{row['status']}: {row['error']}" if row.get("error") else str(row["status"])
            raise StudyError(
                "has no measurement to compare",
                key="CELL",
                value=row["cell_name"],
                allowed=f"a measured cell; it is {reason}",
            )
        conditions = json.loads(row.get("conditions_json") or "{}")
        host = [conditions.get("host"), conditions.get("cpu_model")]
        bound = bound_of_row(row)
        is_bounded_by_final = bool(slots) and bound == UPPER and Reading.of(row).high_ms < _most_ms(row)
        return cls(
            cell_id=row["cell_id"],
            name=row["cell_name"],
            blocks=slots if is_bounded_by_final else found,
            device=row["device"],
            host=", ".join(filter(None, host)) or None,
            is_stable=row.get("is_stable"),
            kernel_ms=row.get("reference_kernel_ms"),
            disturbed=row["error"] if row["status"] == "tainted" else None,
            bound=bound,
            unchecked=(row.get("output_check_reason") or "no expected output") if is_unchecked(row) else None,
            final=row.get("final"),
            heats=_heats(own),
            final_held=how_held(row),
            is_bounded_by_final=is_bounded_by_final,
        )

    @property
    def run_secs(self) -> tuple[tuple[float, ...], ...]:
        """The repeats by block."""
        return tuple(block.run_secs for block in self.blocks)

    def took_turns_with(self, other: MeasuredCell) -> bool:
        """Whether the middle of each one's measurement lies within the other's."""
        mine, its = self._times(), other._times()
        return bool(mine and its) and mine[0] <= median(its) <= mine[-1] and its[0] <= median(mine) <= its[-1]

    def _times(self) -> list[float]:
        times = [block.t for block in self.blocks if block.t is not None]
        return sorted(times) if len(times) == len(self.blocks) > 1 else []


def _by_block(repeats: Iterable[Row], kind: str) -> tuple[Block, ...]:
    found: dict[int, list[Row]] = {}
    for repeat in repeats:
        if repeat["kind"] == kind:
            found.setdefault(repeat.get("block") or 0, []).append(repeat)
    return tuple(Block(tuple(one["seconds"] for one in block), block[0].get("t")) for block in found.values())


def _heats(repeats: Iterable[Row]) -> tuple[tuple[float, ...], ...]:
    """What the ratios of a final are made of, by block."""
    final = [one for one in repeats if one["kind"] == COMPARABLE[1]]
    compared = [{**one, "seconds": one["seconds"] / (one.get("leader_seconds") or 1.0)} for one in final]
    return tuple(block.run_secs for block in _by_block(compared, COMPARABLE[1]))


def _most_ms(row: Row) -> float:
    """As its repeats tell."""
    high = row.get("latency_ms_ci_high")
    return float(row["latency_ms_max"] if high is None else high)


@dataclass(frozen=True, slots=True)
class PairedBlocks:
    """Blocks of two cells that `--measure-more` took in turns after the sweep."""

    pairs: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()
    """Seconds of a block of each, where neither was disturbed."""
    disturbed: int = 0
    """Pairs that were, and do not count."""

    @classmethod
    def of(cls, pairs: Iterable[Mapping[str, Any]], first: str, second: str) -> PairedBlocks:
        """Those of two cells, by their ids, in whatever order they were named then."""
        clean, disturbed = [], 0
        for pair in pairs:
            if list(pair["cells"]) not in ([first, second], [second, first]):
                continue
            if any(block["tainted"] for block in pair["blocks"]):
                disturbed += 1
                continue
            one, other = (tuple(block["run_secs"]) for block in pair["blocks"])
            clean.append((one, other) if pair["cells"][0] == first else (other, one))
        return cls(tuple(clean), disturbed)
