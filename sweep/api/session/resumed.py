"""What a run finds of a sweep directory that another version wrote: it says what it would do again, or keeps it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sweep.errors import LedgerError
from sweep.planning.earlier import Earlier, Redone, earlier_of, redone, with_kept
from sweep.planning.stage import Plan
from sweep.running.ledger.ledger import LedgerState
from sweep.running.ledger.saved_plan import restore

__all__ = ["done_again", "remembered", "resumed_plan"]


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


def resumed_plan(plan: Plan, earlier: Earlier, state: LedgerState, *, is_kept: bool) -> Plan:
    """The plan that a run goes by: with the earlier answers where they are kept; else it says what is done again."""
    if is_kept:
        return with_kept(plan, earlier, state.done, _packages(state))
    for one in done_again(plan, earlier, state):
        logging.getLogger(__name__).warning("done again: %s (`--keep` goes on with what there is)", one)
    return plan


def _packages(state: LedgerState) -> Mapping[str, str]:
    """Versions of packages as the last run noted them."""
    versions: Any = state.conditions.get("versions")
    return {key: str(value) for key, value in versions.items()} if isinstance(versions, Mapping) else {}
