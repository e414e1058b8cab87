"""How far a run may spare cells by prediction: what a study says of its planner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field

from sweep.study.reading.form import Form

__all__ = ["SELF", "PlannerForm", "PlannerOptions", "as_conditions", "read_planner"]

SELF = "self"
"""Learns from the cells of the run alone."""


@dataclass(frozen=True, slots=True)
class PlannerOptions:
    """Cells that cannot be the best of their model and device, with 99 %, are skipped; it decides no id."""

    predictor: str = SELF
    """`self`, or the sweep directory whose cells it has learnt from before it begins."""
    prune: float = 0.5
    """Share of the cells that may be skipped at most."""
    audit: float = 0.1
    """Share of the cells to be skipped that are measured all the same, to say how often skipping was wrong."""


class PlannerForm(Form):
    """`planner:` of a study."""

    predictor: str = Field(
        SELF, min_length=1, description="self: learn from this run's cells; or a sweep directory to begin with."
    )
    prune: float = Field(0.5, ge=0.0, lt=1.0, description="Share of the cells that may be skipped at most.")
    audit: float = Field(
        0.1, ge=0.0, le=1.0, description="Share of those to be skipped that are measured all the same."
    )


def read_planner(form: PlannerForm | None) -> PlannerOptions | None:
    """None where a study does not speak of it: every cell is measured."""
    return None if form is None else PlannerOptions(form.predictor, form.prune, form.audit)


def as_conditions(planner: PlannerOptions | None) -> Mapping[str, Any]:
    """What the ledger notes of a run with a planner: one with another would skip other cells."""
    return {} if planner is None else {"planner": asdict(planner)}
