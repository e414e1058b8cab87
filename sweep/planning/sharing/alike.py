"""A plan in numbers: groups of stages that differ by their inputs alone, and how many there are of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sweep.planning.kinds import STAGE_KINDS
from sweep.planning.stage import Stage
from sweep.study.grid import LeftOut

__all__ = ["Alike", "CountedPlan", "alike_by_kind"]


@dataclass(frozen=True, slots=True)
class Alike:
    """Stages of a plan that differ by their inputs alone."""

    stage: Stage
    """One of them, without id, inputs and label."""
    stages: int
    cells: int
    """Those that take one of them."""


@dataclass(frozen=True, slots=True)
class CountedPlan:
    """A plan in numbers."""

    study_name: str
    cells: int
    refused: int
    """Of the cells, those whose runtimes do not take their networks."""
    left_out: Sequence[LeftOut]
    stages: Sequence[Alike] = field(default_factory=list)


def alike_by_kind(stages: Sequence[Alike]) -> Iterator[tuple[str, list[Alike]]]:
    """The stages of each kind that there is, in the order in which a cell needs them."""
    for kind in STAGE_KINDS.names():
        if found := [one for one in stages if one.stage.kind == kind]:
            yield kind, found
