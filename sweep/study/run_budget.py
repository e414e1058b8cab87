"""What a run may cost: what a study says of it, with its form."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from sweep.study.reading.form import Form

__all__ = ["Budget", "BudgetForm", "read_budget"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may cost."""

    hours: float | None = None
    """Wall clock; none: no limit."""
    cell_minutes: float | None = None
    """Work on one cell, each stage in full, tuning apart; what tunes together may take it for each of its modules."""


class BudgetForm(Form):
    """What a run may cost."""

    hours: float | None = Field(None, gt=0, le=10_000, description="Wall clock; null: no limit.")
    cell_minutes: float | None = Field(
        None,
        gt=0,
        le=600_000,
        description="Work on one cell: importing, lowering, building and measuring it; tuning may take it for each "
        "lowered module that is tuned together. A cell that takes longer fails, a tuner ends with what it has; "
        "null: no limit.",
    )


def read_budget(form: BudgetForm) -> Budget:
    """What a study file says; no limit where it says nothing."""
    return Budget(hours=form.hours, cell_minutes=form.cell_minutes)
