"""Options of a run: limits of time, stopping at the first failure, the selection of cells."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sweep.running.admission import Admission
from sweep.running.first_answer import FirstAnswer
from sweep.study.spec import Budget

__all__ = ["RunOptions"]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Limits of a run and the selection of its cells, as options of `sweep run` set them."""

    max_seconds: float | None = None
    """Nothing is started after this long, and what still runs is given up soon after; tuners are told in time."""
    cell_seconds: float | None = None
    """The work of one cell may take so long; tuning may take it for each lowered module that is tuned together."""
    only: str | None = None
    """The cells to run, as in `tuner=xgb,model=res*`; None: all."""
    fail_fast: bool = False
    first: FirstAnswer | None = None
    """What waits until one network is tuned; None: nothing does."""
    admission: Admission | None = None
    """Skips cells by what others have come to; None: every cell is worth its work."""
    retry_failed: bool = False
    """Try stages again that failed for a reason that cannot have changed, and measure again what stayed tainted."""
    retry_tainted: bool = False
    """Measure again what stayed tainted, and leave failures as they are; `retry_failed` does both."""
    keep: bool = False
    """Leave cells that another version has measured as they are, instead of doing them again."""
    name: str = "run"
    """What the ledger calls this work. How a sweep stands is told by what is called a run."""

    def less(self, spent_s: float) -> RunOptions:
        """The same with so much of the time gone: a run's time begins with its command, not with its parts."""
        return self if self.max_seconds is None else replace(self, max_seconds=max(0.0, self.max_seconds - spent_s))

    @classmethod
    def within(cls, budget: Budget, **others: Any) -> RunOptions:
        """With the limits of a budget."""
        return cls(
            max_seconds=None if budget.hours is None else budget.hours * 3600.0,
            cell_seconds=None if budget.cell_minutes is None else budget.cell_minutes * 60.0,
            **others,
        )
