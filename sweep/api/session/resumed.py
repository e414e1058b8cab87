"""What a run finds of a sweep directory that another version wrote: it says what it would do again, or keeps it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import LedgerError
from sweep.planning.earlier import Earlier, Redone, earlier_of, redone, with_kept
from sweep.planning.narrowing import without
from sweep.planning.stage import Plan
from sweep.running.ledger.ledger import LedgerState
from sweep.running.ledger.saved_plan import restore

__all__ = ["done_again", "remembered", "resumed"]


def remembered(sweep_dir: Path, state: LedgerState) -> Earlier:
    """The cells of a sweep directory that have an answer; none where no plan can be read there."""
    try:
        before = restore(sweep_dir)
    except LedgerError:
        return Earlier({}, {})
    return earlier_of(before.plan, before.earlier, state.done)


def done_again(plan: Plan, earlier: Earlier, state: LedgerState) -> list[Redone]:
    """What a run of a plan would do again of what the directory has."""
    return redone(plan, earlier, state.done, _packages(state))


def resumed(
    whole: Plan, plan: Plan, sweep_dir: Path, state: LedgerState, *, is_kept: bool
) -> tuple[Plan, Plan, Earlier]:
    """The plan of all cells, that of the cells to be run, and the answers there are. Where these are kept the first has
    their stages and the second leaves them out; else it is said what is done again.
    """
    earlier = remembered(sweep_dir, state)
    if not is_kept:
        for one in done_again(plan, earlier, state):
            logging.getLogger(__name__).warning("done again: %s (`--keep` goes on with what there is)", one)
        return whole, plan, earlier
    whole = with_kept(whole, earlier, state.done, _packages(state))
    return whole, without(plan, {planned.cell.id for planned in whole.cells if planned.kept}), earlier


def _packages(state: LedgerState) -> Mapping[str, str]:
    """Versions of packages as the last run noted them."""
    versions: Any = state.conditions.get("versions")
    return {key: str(value) for key, value in versions.items()} if isinstance(versions, Mapping) else {}
