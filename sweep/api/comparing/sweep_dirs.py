"""Compares two sweeps cell by cell: by what they measured, or by both libraries measured in turns now."""

from __future__ import annotations

from pathlib import Path

from sweep.analysis.comparing.fail_rule import FailRule, parse_rule
from sweep.analysis.comparing.shared_cells import SweepComparison, SweepSide
from sweep.analysis.comparing.two_sweeps import compare_sweeps
from sweep.api.comparing.sides import opened_side
from sweep.study.selection import parse_selection
from sweep.study.spec import Cell

__all__ = ["compare_sweep_dirs", "meant_cells"]


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
        wanted = meant_cells(fresh.side, only)
        return compare_sweeps(old.side, fresh.side, wanted=wanted, across_hosts=across_hosts, rule=rule)


def meant_cells(side: SweepSide, only: str | None) -> list[str] | None:
    """Ids of the cells of a side that a selection means; None where there is no selection."""
    if only is None:
        return None
    selection = parse_selection(only)
    return [cell_id for cell_id, row in side.rows.items() if selection.matches(Cell.of(row))]
