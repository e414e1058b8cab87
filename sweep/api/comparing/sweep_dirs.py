"""Compares two sweeps cell by cell: by what they measured, or by both sides measured in turns now."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.analysis.comparing.fail_rule import FailRule, RuleAnswer, parse_rule
from sweep.analysis.comparing.shared_cells import SharedCell, SweepComparison, SweepSide
from sweep.analysis.comparing.two_sweeps import compare_sweeps
from sweep.api.comparing.sides import opened_side
from sweep.study.selection import parse_selection
from sweep.study.spec import Cell

if TYPE_CHECKING:
    from sweep.study.cluster.cluster import Cluster

__all__ = ["MINUTES", "compare_sweep_dirs", "compare_sweep_dirs_more"]

MINUTES = 10.0
"""To measure in turns, by default."""


def compare_sweep_dirs(
    baseline: Path | str,
    new: Path | str,
    *,
    across_hosts: bool = False,
    fail_on: str | FailRule | None = None,
    only: str | None = None,
) -> SweepComparison:
    """Every cell that two sweeps share: the new one over its baseline, by what the sweeps measured.

    baseline, new: each a sweep directory, the URI or a zip file of one, or an exported bundle. fail_on: a rule such as
    `slower > 5%`. only: some cells, as `tuner=xgb|ga,model=res*`.

    Raises:
        StudyError: a side is none of these, the rule or selection is not one, or no cell was measured on one host.
        LedgerError: a ledger or plan cannot be read.
        RecordError: a sweep has no tables.
    """
    rule = parse_rule(fail_on) if isinstance(fail_on, str) else fail_on
    with opened_side(baseline, "DIR_A") as old, opened_side(new, "DIR_B") as fresh:
        wanted = _meant(fresh.side, only)
        return compare_sweeps(old.side, fresh.side, wanted=wanted, across_hosts=across_hosts, rule=rule)


def compare_sweep_dirs_more(
    baseline: Path | str,
    new: Path | str,
    cluster: Cluster,
    *,
    minutes: float = MINUTES,
    fail_on: str | FailRule | None = None,
    only: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> SweepComparison:
    """The same by what is measured now: both sides of each cell in turns, until it is told or the minutes are over.

    Two days are never the same machine, so the sweeps' own times do not count. Cells whose code is the same are not
    measured. Pairs are kept in the new sweep, and a later call goes on from there.

    Raises:
        StudyError: as `compare_sweep_dirs`; or nothing can be measured again on these devices.
        SweepError: a measurement failed.
    """
    from sweep.api.comparing.in_turns import contestants

    rule = parse_rule(fail_on) if isinstance(fail_on, str) else fail_on
    with (
        opened_side(baseline, "DIR_A", is_whole=True) as old,
        opened_side(new, "DIR_B", is_whole=True) as fresh,
    ):
        wanted = _meant(fresh.side, only)
        first = compare_sweeps(old.side, fresh.side, wanted=wanted, rule=rule, measured_now={})
        to_measure = [cell for cell in first.cells if _may_be_measured(cell, old.side, fresh.side)]
        if not to_measure:
            return first
        with contestants(old, fresh, to_measure, cluster, say) as turns:
            end_t, told, taken = time.monotonic() + 60 * minutes, "", 0  # what comes up before takes no time of theirs
            while True:
                found = compare_sweeps(old.side, fresh.side, wanted=wanted, rule=rule, measured_now=turns.paired)
                still_open = [
                    cell.cell_id
                    for cell in found.cells
                    if cell.cell_id in turns.cells and found.answer(cell) is RuleAnswer.OPEN
                ]
                if not still_open or (taken and time.monotonic() > end_t):
                    return _with_reasons(found, turns.left_out)
                if (line := _standing(found, len(still_open), len(turns.cells))) != told:
                    say(line)
                    told = line
                for cell_id in still_open:
                    if taken and time.monotonic() > end_t:
                        break
                    turns.measure(cell_id)
                    taken += 1


def _may_be_measured(cell: SharedCell, old: SweepSide, new: SweepSide) -> bool:
    sides = (old.measured.get(cell.cell_id), new.measured.get(cell.cell_id))
    return cell.same_code is None and all(one is not None and one.unchecked is None for one in sides)


def _standing(found: SweepComparison, still_open: int, of: int) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in found.counts.items() if count)
    return f"in turns: {still_open} of {of} open; {counts}"


def _with_reasons(found: SweepComparison, left_out: dict[str, str]) -> SweepComparison:
    cells = (
        replace(cell, why_not=left_out[cell.cell_id]) if cell.cell_id in left_out else cell for cell in found.cells
    )
    return replace(found, cells=tuple(cells))


def _meant(side: SweepSide, only: str | None) -> list[str] | None:
    """Ids of the cells of a side that a selection means; None where there is no selection."""
    if only is None:
        return None
    selection = parse_selection(only)
    return [cell_id for cell_id, row in side.rows.items() if selection.matches(Cell.of(row))]
